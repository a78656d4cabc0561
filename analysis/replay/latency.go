package replay

import (
	"errors"
	"io"
	"math"
	"regexp"
	"strconv"
	"time"

	"github.com/sluice-dev/sluice/analysis"
)

// Latencies reads how long answers took: of every version in a recording, or the
// last histogram in Prometheus's text format, whose bounds are seconds.
// errors: a *LineError for the first line that is neither; an empty input.
func Latencies(in io.Reader, name string) (analysis.Buckets, error) {
	l := latencies{
		bucketLine: regexp.MustCompile(`^\w+_bucket\{.*le="([^"]+)".*\}\s+([0-9.eE+]+)`), // its bound, its cumulative count
		otherLine:  regexp.MustCompile(`^\w+(_sum|_count)?(\{.*\})?\s+[0-9.eE+-]+(\s+\d+)?$`),
		reader:     newReader("", ""), lines: newLines(in),
	}
	for {
		line, err := l.lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = l.take(line)
		}
		if fact, is := errors.AsType[factError](err); is {
			return nil, &LineError{Name: name, Line: l.lines.number, Fact: string(fact)}
		}
		if err != nil {
			return nil, err
		}
	}
	if l.buckets.Count() == 0 {
		return nil, &LineError{Name: name, Line: l.lines.number, Fact: "ends without a latency"}
	}
	return l.buckets, nil
}

type latencies struct {
	bucketLine, otherLine *regexp.Regexp // of Prometheus's text format

	reader  *reader
	lines   *lines
	buckets analysis.Buckets
	below   uint64 // of a histogram, up to the last bound
	bound   float64
}

func (l *latencies) take(line []byte) error {
	switch {
	case len(line) == 0 || line[0] == '#':
		return nil
	case line[0] == '{':
		q, _, err := l.reader.read(line)
		if err == nil && q.Outcome == analysis.Succeeded {
			l.buckets.Add(q.Duration)
		}
		return err
	}
	found := l.bucketLine.FindSubmatch(line)
	switch {
	case found != nil:
		return l.bucket(string(found[1]), string(found[2]))
	case l.otherLine.Match(line): // the sum, the count: the buckets tell them as well
		return nil
	}
	return factf("is neither a request nor a bucket of a histogram, found %s", short(line))
}

// bucket adds what lies between two bounds, at the middle of them on a logarithmic
// scale.
func (l *latencies) bucket(bound, count string) error {
	le, err := strconv.ParseFloat(bound, 64)
	if err != nil || le <= 0 {
		return factf("le: is not a bound in seconds, found %q", bound)
	}
	n, err := strconv.ParseFloat(count, 64)
	if err != nil || n < 0 || n > 1<<40 {
		return factf("count: is not a number of requests, found %q", count)
	}
	total := uint64(n)
	if le <= l.bound || total < l.below { // another histogram begins
		l.buckets, l.below, l.bound = nil, 0, 0
	}
	at := le
	switch {
	case math.IsInf(le, 1):
		at = 2 * l.bound
	case l.bound > 0:
		at = math.Sqrt(l.bound * le)
	}
	if added := total - l.below; added > 0 {
		i := analysis.Index(time.Duration(at * float64(time.Second)))
		l.buckets.Merge(analysis.Buckets{{Index: i, Count: uint32(min(added, 1<<31))}})
	}
	l.below, l.bound = total, le
	return nil
}
