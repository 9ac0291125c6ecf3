package openfeature

import "log/slog"

var quiet = slog.New(slog.DiscardHandler)
