package server

import (
	"bytes"
	"strconv"

	"github.com/sluice-dev/sluice/serving/element"
)

// skim takes the arrays of the inputs' data out of a request, for encoding/json
// reads every byte three times. In the rest each is replaced by an array of its
// index. A request that writes its keys in an unusual way is left as it is: then
// no arrays are given.
func skim(body []byte) (rest []byte, arrays [][]byte) {
	kept, depth, inputs := 0, 0, false
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '"':
			end := element.End(body, i)
			key := body[i:end]
			i = end - 1
			value, is := valueAfter(body, end)
			switch {
			case !is:
				continue
			case bytes.IndexByte(key, '\\') >= 0:
				return body, nil
			case depth == 1:
				inputs = bytes.EqualFold(key, []byte(`"inputs"`))
			case depth == 3 && inputs && bytes.EqualFold(key, []byte(`"data"`)) && value < len(body) && body[value] == '[':
				end := element.End(body, value)
				rest = append(rest, body[kept:value]...)
				rest = strconv.AppendInt(append(rest, '['), int64(len(arrays)), 10)
				rest = append(rest, ']')
				arrays = append(arrays, body[value:end])
				kept, i = end, end-1
			}
		}
	}
	return append(rest, body[kept:]...), arrays
}

// valueAfter is where the value begins of which the key ended at i; false if
// that was no key.
func valueAfter(body []byte, i int) (value int, is bool) {
	if i = space(body, i); i == len(body) || body[i] != ':' {
		return i, false
	}
	return space(body, i+1), true
}

// space is where white space that starts at i ends.
func space(body []byte, i int) int {
	for i < len(body) && (body[i] == ' ' || body[i] == '\t' || body[i] == '\n' || body[i] == '\r') {
		i++
	}
	return i
}

// skimmed is the array that data stands for.
func skimmed(data []byte, arrays [][]byte) []byte {
	if len(arrays) == 0 || len(data) < 2 || data[0] != '[' {
		return data
	}
	i, err := strconv.Atoi(string(data[1 : len(data)-1]))
	if err != nil || i < 0 || i >= len(arrays) {
		return data
	}
	return arrays[i]
}
