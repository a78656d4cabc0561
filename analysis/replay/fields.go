package replay

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
)

// field is one that a line may have. Others are passed over.
type field int

const (
	fieldT field = iota
	fieldVersion
	fieldPod
	fieldEpoch
	fieldStatus
	fieldGRPC
	fieldLatency
	fieldFirstByte
	fieldPerToken
	fieldUnit
	fieldSegment

	fieldStart
	fieldDuration
	fieldCode
	fieldFlags
	fieldCluster
	fieldHost
	fieldRoute
	fieldArm
	fieldShadow
	fieldResponse
	fieldTokens
	fieldTrailed
	fieldCount
)

// fieldOf finds a field by its name. Envoy's are those of its format commands and
// of Sluice's headers, as json_format would name them.
func fieldOf(name []byte) (field, bool) {
	switch string(name) {
	case "t":
		return fieldT, true
	case "version":
		return fieldVersion, true
	case "pod":
		return fieldPod, true
	case "epoch":
		return fieldEpoch, true
	case "status":
		return fieldStatus, true
	case "grpc_status", "grpc_status_number":
		return fieldGRPC, true
	case "latency_ms":
		return fieldLatency, true
	case "ttfb_ms":
		return fieldFirstByte, true
	case "tpot_ms":
		return fieldPerToken, true
	case "unit", "x_sluice_unit", "x-sluice-unit":
		return fieldUnit, true
	case "segment", "x_sluice_segment", "x-sluice-segment":
		return fieldSegment, true
	}
	return envoyField(name)
}

func envoyField(name []byte) (field, bool) {
	switch string(name) {
	case "start_time":
		return fieldStart, true
	case "duration":
		return fieldDuration, true
	case "response_code":
		return fieldCode, true
	case "response_flags":
		return fieldFlags, true
	case "upstream_cluster", "upstream_cluster_raw":
		return fieldCluster, true
	case "upstream_host":
		return fieldHost, true
	case "route_name":
		return fieldRoute, true
	case "x_sluice_arm", "x-sluice-arm":
		return fieldArm, true
	case "x_sluice_shadow", "x-sluice-shadow":
		return fieldShadow, true
	case "response_duration":
		return fieldResponse, true
	case "x_sluice_tokens", "x-sluice-tokens":
		return fieldTokens, true
	case "x_sluice_tokens_trailer":
		return fieldTrailed, true
	}
	return 0, false
}

// fields are the values of a line as they stand there; nil where there is none, or
// null.
type fields [fieldCount][]byte

// read takes the fields of a line apart. The line must be a JSON object.
func (f *fields) read(line []byte) error {
	*f = fields{}
	if !json.Valid(line) {
		return notJSON(line)
	}
	if line[0] != '{' {
		return factf("is not a JSON object, found %s", short(line))
	}
	rest := line[1:]
	for {
		rest = bytes.TrimLeft(rest, " \t\r\n,")
		if rest[0] == '}' {
			return nil
		}
		key := rest[:stringEnd(rest)]
		rest = bytes.TrimLeft(rest[len(key):], " \t\r\n:")
		value := rest[:valueEnd(rest)]
		rest = rest[len(value):]
		if at, known := fieldOf(key[1 : len(key)-1]); known && string(value) != "null" {
			f[at] = value
		}
	}
}

// notJSON says where a line stops being JSON.
func notJSON(line []byte) error {
	var object json.RawMessage
	var syntax *json.SyntaxError
	if err := json.Unmarshal(line, &object); errors.As(err, &syntax) {
		return factf("is not JSON: %s, at byte %d", syntax.Error(), syntax.Offset)
	}
	return factf("is not JSON, found %s", short(line))
}

// stringEnd is where the string at the start of valid JSON ends.
func stringEnd(b []byte) int {
	for i := 1; ; i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}

// valueEnd is where the value at the start of valid JSON, within an object, ends.
func valueEnd(b []byte) int {
	depth := 0
	for i := 0; ; i++ {
		switch b[i] {
		case '"':
			i += stringEnd(b[i:]) - 1
		case '{', '[':
			depth++
			continue
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
			continue
		default:
			continue
		}
		if depth == 0 {
			return i + 1
		}
	}
}

// number reads a number, in quotes or not.
func (f *fields) number(at field, name string) (n float64, found bool, err error) {
	raw := f[at]
	if raw == nil || string(raw) == `"-"` {
		return 0, false, nil
	}
	if raw[0] == '"' {
		raw = raw[1 : len(raw)-1]
	}
	n, err = strconv.ParseFloat(string(raw), 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return 0, false, factf("%s: is not a number, found %s", name, short(f[at]))
	}
	return n, true, nil
}

// whole reads a whole number from 0 to most.
func (f *fields) whole(at field, name string, most float64) (n uint64, found bool, err error) {
	x, found, err := f.number(at, name)
	if err != nil || !found {
		return 0, false, err
	}
	if x != math.Trunc(x) || x < 0 || x > most {
		return 0, false, factf("%s: is not a whole number from 0 to %.0f, found %s", name, most, short(f[at]))
	}
	return uint64(x), true, nil
}

// text reads a string; Envoy's "-" is none. It is valid as long as the line.
func (f *fields) text(at field, name string) ([]byte, error) {
	raw := f[at]
	switch {
	case raw == nil, string(raw) == `"-"`:
		return nil, nil
	case raw[0] != '"':
		return nil, factf("%s: is not a string, found %s", name, short(raw))
	case bytes.IndexByte(raw, '\\') < 0:
		return raw[1 : len(raw)-1], nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, factf("%s: is not a string, found %s", name, short(raw))
	}
	return []byte(s), nil
}

// short cuts what was found to what fits a message.
func short(found []byte) string {
	const most = 60
	if len(found) > most {
		return string(bytes.ToValidUTF8(found[:most], []byte("?"))) + "…"
	}
	return string(bytes.ToValidUTF8(found, []byte("?")))
}
