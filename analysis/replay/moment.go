package replay

import (
	"math"
	"strconv"
	"time"
)

// Moment writes a time on a recording's clock for people: seconds since its first
// request started, and what time that was where the clock is Unix time.
func Moment(from, at float64) string {
	since := strconv.FormatFloat(math.Round(1e6*(at-from))/1e6, 'f', -1, 64) + " s"
	if at < unix {
		return since
	}
	return since + " (" + time.UnixMicro(int64(math.Round(at*1e6))).UTC().Format(time.RFC3339Nano) + ")"
}
