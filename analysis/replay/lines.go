package replay

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// longestLine bounds what is kept of a recording at a time.
const longestLine = 1 << 20

// lines cuts a stream into lines.
type lines struct {
	in     *bufio.Reader
	number int64 // of the last line, from 1
	bytes  int64 // up to its end
}

func newLines(in io.Reader) *lines { return &lines{in: bufio.NewReaderSize(in, longestLine)} }

// next gives the next line without space around it, valid until the next call. A
// last line may lack its end.
// errors: io.EOF at the end; a factError for a line that is too long.
func (l *lines) next() ([]byte, error) {
	line, err := l.in.ReadSlice('\n')
	l.bytes += int64(len(line))
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		l.number++
		return nil, l.pass()
	case errors.Is(err, io.EOF) && len(line) > 0, err == nil:
		if l.number++; l.number == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff")) // a byte order mark
		}
		return bytes.TrimSpace(line), nil
	}
	return nil, err
}

// pass reads on to the end of a line that is too long.
func (l *lines) pass() error {
	for {
		more, err := l.in.ReadSlice('\n')
		l.bytes += int64(len(more))
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case err == nil, errors.Is(err, io.EOF):
			return factf("is longer than %d bytes", longestLine)
		default:
			return err
		}
	}
}
