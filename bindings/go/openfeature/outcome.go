package openfeature

import (
	"errors"

	"github.com/mpflags/mpflags/bindings/go"
	of "github.com/open-feature/go-sdk/openfeature"
)

// detail converts an evaluation without its value. An error has neither variant nor metadata.
func detail(evaluation mpflags.Evaluation) of.ProviderResolutionDetail {
	if err := evaluation.Err(); err != nil {
		return of.ProviderResolutionDetail{ResolutionError: resolutionError(err), Reason: of.ErrorReason}
	}
	return of.ProviderResolutionDetail{
		Reason: of.Reason(evaluation.Reason()), Variant: evaluation.Variant(), FlagMetadata: evaluation.Metadata(),
	}
}

// resolutionError wraps err where the SDK's constructor takes an error. The others have the code and the message only.
func resolutionError(err error) of.ResolutionError {
	var evaluation *mpflags.EvaluationError
	if !errors.As(err, &evaluation) {
		return of.NewGeneralResolutionError(err.Error())
	}
	message := evaluation.Message
	switch evaluation.Code {
	case mpflags.ProviderNotReady:
		return of.NewProviderNotReadyResolutionError(message)
	case mpflags.ProviderFatal:
		return of.NewProviderFatalResolutionError(message)
	case mpflags.FlagNotFound:
		return of.NewFlagNotFoundResolutionError(message)
	case mpflags.ParseError:
		return of.NewParseErrorResolutionError(message, err)
	case mpflags.TypeMismatch:
		return of.NewTypeMismatchResolutionError(message)
	case mpflags.TargetingKeyMissing:
		return of.NewTargetingKeyMissingResolutionError(message)
	case mpflags.InvalidContext:
		return of.NewInvalidContextResolutionError(message)
	}
	return of.NewGeneralResolutionError(message, err)
}

var notInitialized = of.ProviderResolutionDetail{
	ResolutionError: of.NewProviderNotReadyResolutionError("the provider is not initialized"),
	Reason:          of.ErrorReason,
}

// notMade is the result of a nil or zero provider.
var notMade = of.ProviderResolutionDetail{
	ResolutionError: of.NewProviderNotReadyResolutionError(errUnmade.Error()),
	Reason:          of.ErrorReason,
}

// beforeInit reports whether a provider that is not initialized may return this evaluation: an override, which wins over
// everything else, or the reason why there are no definitions yet.
func beforeInit(evaluation mpflags.Evaluation) bool {
	err := evaluation.Err()
	return evaluation.Variant() == "override" || errors.Is(err, mpflags.ProviderNotReady) || errors.Is(err, mpflags.ProviderFatal)
}
