// Package sketch sums up what a classifier answers: how often each class, how
// sure, how undecided, how often nonsense. Sketches of two pods add up, and
// those of two versions can be compared. It keeps no input and no single answer,
// and decides nothing.
//
// Start reading at Sketch.Add.
package sketch

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Bins is the resolution of the histograms over 0 to 1.
const Bins = 20

// Sketch sums up rows of scores.
type Sketch struct {
	Rows    uint64   `json:"rows"`
	Classes []uint64 `json:"classes"` // rows by their highest score, the first of equals
	// Broken are rows with a score that is no number or infinite. They are in
	// Rows and nowhere else.
	Broken uint64 `json:"broken"`
	// Unnormalized are rows that are no probabilities. They have a class, and
	// are not in the histograms.
	Unnormalized uint64       `json:"unnormalized"`
	Confidence   [Bins]uint64 `json:"confidence"` // the highest probability
	// Entropy is over that of a row in which all classes are equally probable.
	Entropy [Bins]uint64 `json:"entropy"`
}

// New makes an empty sketch for so many classes, at least 2.
func New(classes int) (*Sketch, error) {
	if classes < 2 {
		return nil, fmt.Errorf("classes: at least 2, found %d", classes)
	}
	return &Sketch{Classes: make([]uint64, classes)}, nil
}

const (
	scoreSize = 4    // bytes of an FP32
	nearOne   = 0.01 // how far the sum of probabilities may be off
)

// Add takes rows of FP32 scores, little-endian, one score per class. A row that
// is not whole is left out.
func (s *Sketch) Add(data []byte) {
	size := scoreSize * len(s.Classes)
	for ; len(data) >= size; data = data[size:] {
		s.add(data[:size])
	}
}

func (s *Sketch) add(row []byte) {
	s.Rows++
	best, top, sum, least := 0, math.Inf(-1), 0.0, math.Inf(1)
	for i := range s.Classes {
		v := score(row, i)
		if v > top {
			best, top = i, v
		}
		sum += v
		least = min(least, v)
	}
	switch {
	case math.IsNaN(sum) || math.IsInf(sum, 0) || math.IsInf(top, 0):
		s.Broken++
		return
	case least < 0 || math.Abs(sum-1) > nearOne:
		s.Unnormalized++
	default:
		s.Confidence[bin(top)]++
		s.Entropy[bin(s.entropy(row)/math.Log(float64(len(s.Classes))))]++
	}
	s.Classes[best]++
}

func score(row []byte, i int) float64 {
	return float64(math.Float32frombits(binary.LittleEndian.Uint32(row[scoreSize*i:])))
}

// entropy is Shannon's, in nats.
func (s *Sketch) entropy(row []byte) float64 {
	sum := 0.0
	for i := range s.Classes {
		if p := score(row, i); p > 1e-6 { // less adds nothing that a bin shows
			sum -= p * math.Log(p)
		}
	}
	return sum
}

func bin(share float64) int { return max(0, min(int(share*Bins), Bins-1)) }

// Merge adds another sketch of the same classes.
func (s *Sketch) Merge(o *Sketch) error {
	if len(s.Classes) != len(o.Classes) {
		return fmt.Errorf("classes: %d, found %d", len(s.Classes), len(o.Classes))
	}
	s.Rows += o.Rows
	s.Broken += o.Broken
	s.Unnormalized += o.Unnormalized
	for i, n := range o.Classes {
		s.Classes[i] += n
	}
	for i := range Bins {
		s.Confidence[i] += o.Confidence[i]
		s.Entropy[i] += o.Entropy[i]
	}
	return nil
}
