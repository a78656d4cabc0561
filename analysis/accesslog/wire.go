package accesslog

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/sluice-dev/sluice/analysis"
)

// entry is what attribution needs of an envoy.data.accesslog.v3.HTTPAccessLogEntry.
// Its bytes are those of the message and live as long.
//
// It is read from the wire by hand: the generated types take 66 allocations an
// entry for some 50 fields, of which these are a third, and nine tenths of the time
// from a message to windows. A field that is unknown, or of another type than it was,
// is passed over, as protobuf has it.
type entry struct {
	kind      uint64 // AccessLogType
	start     time.Time
	duration  time.Duration
	firstByte time.Duration // of the upstream's answer, from the start; 0: none came
	timed     bool          // both are there
	cluster   []byte
	arm       []byte // the custom tag of that name
	age       []byte // likewise
	route     []byte
	flags     analysis.Flags
	attempts  uint64        // of the whole request
	lastByte  time.Duration // of the upstream's answer, from the start
	complete  bool          // it came
	host      []byte        // of the upstream: an address, or the path of a socket
	port      uint64
	requestID []byte

	armHeader, shadowHeader, attemptHeader []byte // of the request
	segmentHeader, unitHeader              []byte // of the request
	servedHeader, digestHeader             []byte // of the response
	tokens                                 []byte // of the answer, as the response says
	trailed                                bool   // in its trailers

	code       uint64 // HTTP status; 0: no answer
	grpcStatus []byte
}

// wire walks over the fields of one message.
type wire struct {
	rest   []byte
	tag    uint64 // field number << 3 | wire type
	number uint64 // of a varint
	bytes  []byte // of a string or a message
	broken bool
}

// Wire types.
const (
	varint = uint64(protowire.VarintType)
	text   = uint64(protowire.BytesType) // of messages too
)

func (w *wire) next() bool {
	if len(w.rest) == 0 {
		return false
	}
	field, kind, n := protowire.ConsumeTag(w.rest)
	if n < 0 {
		w.broken = true
		return false
	}
	w.tag, w.number, w.bytes = protowire.EncodeTag(field, kind), 0, nil
	value := w.rest[n:]
	switch kind {
	case protowire.VarintType:
		w.number, n = protowire.ConsumeVarint(value)
	case protowire.BytesType:
		w.bytes, n = protowire.ConsumeBytes(value)
	default:
		n = protowire.ConsumeFieldValue(field, kind, value)
	}
	if n < 0 {
		w.broken = true
		return false
	}
	w.rest = value[n:]
	return true
}

// in walks over the message that the present field holds.
func (w *wire) in() wire { return wire{rest: w.bytes} }

// readEntry reads an HTTPAccessLogEntry, and whether it was one.
func readEntry(b []byte) (entry, bool) {
	var e entry
	w, ok := wire{rest: b}, true
	for w.next() {
		switch w.tag {
		case 1<<3 | text:
			ok = e.readCommon(w.in()) && ok
		case 3<<3 | text:
			ok = e.readRequest(w.in()) && ok
		case 4<<3 | text:
			ok = e.readResponse(w.in()) && ok
		}
	}
	return e, ok && !w.broken
}

// readCommon reads AccessLogCommon.
func (e *entry) readCommon(w wire) bool {
	started, ended := false, false
	for w.next() {
		switch w.tag {
		case 5<<3 | text:
			seconds, nanos := secondsOf(w.in())
			e.start, started = time.Unix(seconds, nanos).UTC(), true
		case 9<<3 | text:
			e.firstByte = durationOf(w.in())
		case 10<<3 | text:
			e.lastByte, e.complete = durationOf(w.in()), true
		case 13<<3 | text:
			e.readAddress(w.in())
		case 15<<3 | text:
			e.cluster = w.bytes
		case 16<<3 | text:
			e.flags = readFlags(w.in())
		case 19<<3 | text:
			e.route = w.bytes
		case 22<<3 | text:
			switch key, value := pairOf(w.in()); string(key) {
			case tagArm:
				e.arm = value
			case tagAge:
				e.age = value
			}
		case 23<<3 | text:
			e.duration, ended = durationOf(w.in()), true
		case 24<<3 | varint:
			e.attempts = w.number
		case 33<<3 | varint:
			e.kind = w.number
		}
	}
	e.timed = started && ended
	return !w.broken
}

// readAddress reads an envoy.config.core.v3.Address.
func (e *entry) readAddress(w wire) {
	for w.next() {
		for v := w.in(); v.next(); {
			switch {
			case w.tag == 1<<3|text && v.tag == 2<<3|text, w.tag == 2<<3|text && v.tag == 1<<3|text: // address of a socket; path of a pipe
				e.host = v.bytes
			case w.tag == 1<<3|text && v.tag == 3<<3|varint:
				e.port = v.number
			}
		}
	}
}

// readRequest reads HTTPRequestProperties.
func (e *entry) readRequest(w wire) bool {
	for w.next() {
		switch w.tag {
		case 9<<3 | text:
			e.requestID = w.bytes
		case 13<<3 | text:
			switch key, value := pairOf(w.in()); string(key) {
			case headerArm:
				e.armHeader = value
			case headerShadow:
				e.shadowHeader = value
			case headerAttempt:
				e.attemptHeader = value
			case headerSegment:
				e.segmentHeader = value
			case headerUnit:
				e.unitHeader = value
			}
		}
	}
	return !w.broken
}

// readResponse reads HTTPResponseProperties. A gRPC status in the trailers is the
// last word.
func (e *entry) readResponse(w wire) bool {
	for w.next() {
		switch w.tag {
		case 1<<3 | text:
			e.code = numberOf(w.in())
		case 4<<3 | text, 5<<3 | text:
			key, value := pairOf(w.in())
			switch {
			case string(key) == headerServed:
				e.servedHeader = value
			case string(key) == headerDigest:
				e.digestHeader = value
			case string(key) == headerTokens:
				e.tokens, e.trailed = value, w.tag == 5<<3|text
			case string(key) == headerGRPC && (w.tag == 5<<3|text || e.grpcStatus == nil):
				e.grpcStatus = value
			}
		}
	}
	return !w.broken
}

// numberOf reads a UInt32Value.
func numberOf(w wire) (number uint64) {
	for w.next() {
		if w.tag == 1<<3|varint {
			number = w.number
		}
	}
	return number
}

// durationOf reads a google.protobuf.Duration.
func durationOf(w wire) time.Duration {
	seconds, nanos := secondsOf(w)
	return time.Duration(seconds)*time.Second + time.Duration(nanos)
}

// secondsOf reads a Timestamp or a Duration.
func secondsOf(w wire) (seconds, nanos int64) {
	for w.next() {
		switch w.tag {
		case 1<<3 | varint:
			seconds = int64(w.number) // two's complement, as protobuf has it
		case 2<<3 | varint:
			nanos = int64(w.number)
		}
	}
	return seconds, nanos
}

// pairOf reads an entry of a map of strings.
func pairOf(w wire) (key, value []byte) {
	for w.next() {
		switch w.tag {
		case 1<<3 | text:
			key = w.bytes
		case 2<<3 | text:
			value = w.bytes
		}
	}
	return key, value
}

// logMessage is what a Server needs of a StreamAccessLogsMessage.
type logMessage struct {
	node    string   // of the identifier
	entries [][]byte // HTTPAccessLogEntry each; TCP logs have none
	whole   bool
}

// read reads a StreamAccessLogsMessage into m.
func (m *logMessage) read(b []byte) {
	m.node, m.entries = "", m.entries[:0]
	w := wire{rest: b}
	for w.next() {
		for v := w.in(); v.next(); {
			switch {
			case w.tag == 1<<3|text && v.tag == 1<<3|text: // identifier.node
				m.node = idOf(v.in())
			case w.tag == 2<<3|text && v.tag == 1<<3|text: // http_logs.log_entry
				m.entries = append(m.entries, v.bytes)
			}
		}
	}
	m.whole = !w.broken
}

// idOf reads an envoy.config.core.v3.Node.
func idOf(w wire) string {
	for w.next() {
		if w.tag == 1<<3|text {
			return string(w.bytes)
		}
	}
	return ""
}
