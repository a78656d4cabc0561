package main

import (
	"bufio"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// buckets are a cumulative histogram, by upper bound.
type buckets []bucket

type bucket struct{ bound, count float64 }

// overhead reads what the server says of its own time; nothing of others'.
func (s *system) overhead() (buckets, error) {
	if !s.ours() {
		return nil, nil
	}
	r, err := http.Get(s.root + "/metrics")
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	var out buckets
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		if b, ok := bucketOf(lines.Text()); ok {
			out = append(out, b)
		}
	}
	slices.SortFunc(out, func(a, b bucket) int { return int(math.Copysign(1, a.bound-b.bound)) })
	return out, nil
}

func bucketOf(line string) (b bucket, ok bool) {
	text, is := strings.CutPrefix(line, "sluice_serving_overhead_seconds_bucket{")
	_, text, found := strings.Cut(text, `le="`)
	if !is || !found {
		return b, false
	}
	bound, count, _ := strings.Cut(text, `"} `)
	if b.bound, ok = number(bound); !ok {
		return b, false
	}
	b.count, ok = number(count)
	return b, ok
}

func number(text string) (float64, bool) {
	v, err := strconv.ParseFloat(text, 64)
	return v, err == nil
}

func (b buckets) since(before buckets) buckets {
	out := slices.Clone(b)
	for i := range min(len(out), len(before)) {
		out[i].count -= before[i].count
	}
	return out
}

// quantile is the bound of the bucket that holds it; NaN of nothing.
func (b buckets) quantile(q float64) float64 {
	if len(b) == 0 || b[len(b)-1].count == 0 {
		return math.NaN()
	}
	for _, bucket := range b {
		if bucket.count >= q*b[len(b)-1].count {
			return bucket.bound
		}
	}
	panic(fmt.Sprintf("no bucket holds %v of %v", q, b))
}
