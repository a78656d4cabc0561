package accesslog

// flags are the response flags of an entry, one bit for each field of
// envoy.data.accesslog.v3.ResponseFlags by its number.
type flags uint64

// The flags that say what became of an attempt, or of a request without one.
const (
	flagUH    flags = 1 << 2  // no healthy upstream
	flagUT    flags = 1 << 3  // upstream request time-out
	flagLR    flags = 1 << 4  // local reset
	flagUR    flags = 1 << 5  // upstream remote reset
	flagUF    flags = 1 << 6  // upstream connection failure
	flagUC    flags = 1 << 7  // upstream connection termination
	flagUO    flags = 1 << 8  // upstream overflow
	flagDC    flags = 1 << 15 // downstream connection termination
	flagSI    flags = 1 << 17 // stream idle time-out
	flagDPE   flags = 1 << 19 // downstream protocol error
	flagUMSDR flags = 1 << 20 // upstream max stream duration reached
	flagDT    flags = 1 << 23 // duration time-out
	flagUPE   flags = 1 << 24 // upstream protocol error
	flagNC    flags = 1 << 25 // no cluster found
	flagDF    flags = 1 << 27 // DNS resolution failure
	flagDR    flags = 1 << 28 // downstream remote reset

	clientLeft = flagDC | flagDR | flagDPE
	timedOut   = flagUT | flagSI | flagUMSDR | flagDT
	// broken is every way to end without an answer, or amid one, but a time-out.
	broken      = flagUH | flagLR | flagUR | flagUF | flagUC | flagUO | flagUPE | flagNC | flagDF
	unissued    = flagUF | flagUO
	unattempted = flagUH | flagNC
)

func (f flags) any(of flags) bool { return f&of != 0 }

func readFlags(w wire) (f flags) {
	for w.next() {
		if w.number != 0 && w.tag < 64<<3 {
			f |= 1 << (w.tag >> 3)
		}
	}
	return f
}
