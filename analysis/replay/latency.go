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

// bucket adds what lies between two bounds, evenly on a logarithmic scale. What is below
// the first bound is taken to be above its half, and what is above the last below twice it.
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
	high, low := le, l.bound
	switch {
	case math.IsInf(le, 1):
		high = 2 * l.bound
	case low == 0:
		low = le / 2
	}
	l.spread(low, high, total-l.below)
	l.below, l.bound = total, le
	return nil
}

// spread counts n latencies between two bounds, in seconds.
func (l *latencies) spread(low, high float64, n uint64) {
	first, last := indexOf(low)+1, indexOf(high)
	first = min(first, last)
	parts := uint64(last-first) + 1
	for i := range parts {
		if part := n*(i+1)/parts - n*i/parts; part > 0 {
			l.buckets.Merge(analysis.Buckets{{Index: first + uint16(i), Count: uint32(min(part, 1<<31))}})
		}
	}
}

// indexOf is the bucket of a time in seconds; the last one of what no Duration holds.
func indexOf(seconds float64) uint16 {
	if seconds > 1e9 {
		return analysis.LastBucket
	}
	return analysis.Index(time.Duration(seconds * float64(time.Second)))
}
