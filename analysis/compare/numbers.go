package compare

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
)

// numbers lists those of a field, whatever lists they are in.
func numbers(field any, list []float64) ([]float64, error) {
	switch field := field.(type) {
	case json.Number:
		n, err := field.Float64()
		if err != nil {
			return nil, errors.New("has a number that is too large")
		}
		return append(list, n), nil
	case []any:
		var err error
		for _, one := range field {
			if list, err = numbers(one, list); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
	return nil, errors.New("is neither a number nor a list of them")
}

// topOf is where the largest numbers of a field stand, the largest first; of equal ones
// the first.
func topOf(field any, top int) ([sha256.Size]byte, error) {
	list, err := numbers(field, nil)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	order := make([]int, len(list))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(list[b], list[a]) })
	var places []byte
	for _, i := range order[:min(top, len(order))] {
		places = append(strconv.AppendInt(places, int64(i), 10), ' ')
	}
	return sha256.Sum256(places), nil
}

// within says whether no number is further from stable's than a part of stable's largest.
func within(stable, other []float64, part float64) bool {
	largest := 0.0
	for _, n := range stable {
		largest = max(largest, math.Abs(n))
	}
	return slices.EqualFunc(stable, other, func(a, b float64) bool { return math.Abs(a-b) <= part*largest })
}

// cosine of two vectors; of two that are nothing, 1.
func cosine(a, b []float64) float64 {
	var dot, lengthA, lengthB float64
	for i := range a {
		dot += float64(a[i] * b[i])
		lengthA += float64(a[i] * a[i])
		lengthB += float64(b[i] * b[i])
	}
	if lengthA == 0 && lengthB == 0 {
		return 1
	}
	return dot / math.Sqrt(lengthA) / math.Sqrt(lengthB)
}
