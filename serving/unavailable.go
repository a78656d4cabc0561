package serving

import "errors"

// ErrUnavailable marks a run's error that says nothing of the batch: where the
// model runs, nobody answers. Another try may be answered, elsewhere or later.
var ErrUnavailable = errors.New("model is unavailable")
