package openfeature

import (
	"errors"

	"github.com/mpflags/mpflags/bindings/go"
	of "github.com/open-feature/go-sdk/openfeature"
)

// detail maps what an evaluation gave to OpenFeature: variant and metadata of a variant only, and an error with its code.
func detail(v mpflags.Variant) of.ProviderResolutionDetail {
	if err := v.Err(); err != nil {
		return of.ProviderResolutionDetail{ResolutionError: resolutionError(err), Reason: of.ErrorReason}
	}
	return of.ProviderResolutionDetail{Reason: of.Reason(v.Reason()), Variant: v.Name(), FlagMetadata: v.Metadata()}
}

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
		return of.NewParseErrorResolutionError(message)
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

// notMade is what an evaluation of a provider gives that was not made.
var notMade = of.ProviderResolutionDetail{
	ResolutionError: of.NewProviderNotReadyResolutionError(errUnmade.Error()),
	Reason:          of.ErrorReason,
}

// unready tells whether an evaluation is what a provider gives that is not initialized: an override, which comes before
// everything, or why there are no definitions yet.
func unready(v mpflags.Variant) bool {
	err := v.Err()
	return v.Name() == "override" || errors.Is(err, mpflags.ProviderNotReady) || errors.Is(err, mpflags.ProviderFatal)
}
