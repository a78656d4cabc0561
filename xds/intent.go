package xds

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluice-dev/sluice/config"
)

// What an inference route means when it leaves a field out.
const (
	defaultAddress  = "127.0.0.1"
	defaultRequest  = 30 * time.Second
	defaultInterval = time.Second
)

// intent is an inference route and the split in force, defaulted and checked
// against each other.
type intent struct {
	config.InferenceRoute
	split config.Split
	// dropped is why the split's mirror is not served; nil where it is, or there is none.
	dropped error
	// segments is the header whose value names a request's segment; empty for none.
	segments string
	// former is the port that requests came to before it moved, if it is that.
	former *Former
	// answers compares those of copies.
	answers config.Metric
}

// closed says that no new connections come there.
func (in intent) closed() bool { return in.former != nil && in.former.Closed }

// readIntents pairs routes with splits, in the order of keys.
func readIntents(cfg *config.Config, splits map[config.Key]config.Split) ([]intent, []*RouteError) {
	intents := make([]intent, 0, len(cfg.Routes))
	var bad []*RouteError
	seen := make(map[config.Key]bool, len(cfg.Routes))
	for _, r := range sortedRoutes(cfg) {
		in, err := newIntent(r, splits)
		if seen[r.Key] {
			err = errors.New("is there twice")
		}
		seen[r.Key] = true
		if err != nil {
			bad = append(bad, &RouteError{r.Key, err})
			continue
		}
		in.segments, in.answers = segmentsOf(cfg, r), answersOf(cfg, r)
		intents = append(intents, in)
	}
	return intents, bad
}

// segmentsOf is the header that the policy of a rollout tells segments apart by: of
// the one in force, or else of the one that is configured.
func segmentsOf(cfg *config.Config, r config.InferenceRoute) string {
	if r.SegmentHeader != "" || r.Strategy.Canary == nil {
		return r.SegmentHeader
	}
	policy, ok := cfg.Policy(config.Key{Namespace: r.Namespace, Name: r.Analysis.Policy})
	if !ok || policy.Segments == nil {
		return ""
	}
	return policy.Segments.Header
}

func newIntent(r config.InferenceRoute, splits map[config.Key]config.Split) (intent, error) {
	split, ok := splits[r.Key]
	if !ok {
		return intent{}, errors.New("has no split")
	}
	if err := checkSplit(r, split); err != nil {
		return intent{}, fmt.Errorf("split of epoch %d: %w", split.Epoch, err)
	}
	dropped := checkMirrors(r, split)
	if dropped != nil { // copies that may not be made hold up no weight
		split.Mirror, split.Repeat = config.Share{}, config.Share{}
		dropped = fmt.Errorf("split of epoch %d: served without its mirror: %w", split.Epoch, dropped)
	}
	if err := errors.Join(checkOverrides(r)...); err != nil {
		return intent{}, err
	}
	if r.Listener.Address == "" {
		r.Listener.Address = defaultAddress
	}
	if r.Timeouts.Request <= 0 {
		r.Timeouts.Request = config.Duration(defaultRequest)
	}
	if len(r.Matches) == 0 {
		r.Matches = []config.Match{{}}
	}
	if slices.ContainsFunc(r.Matches, func(m config.Match) bool { return m.GRPC != nil }) {
		r.Matches = byPath(r.Matches)
	}
	hosts := make([]string, len(r.Hostnames))
	for i, h := range r.Hostnames {
		hosts[i] = strings.ToLower(h)
	}
	r.Hostnames = hosts
	return intent{InferenceRoute: r, split: split, dropped: dropped}, nil
}

func byPath(matches []config.Match) []config.Match {
	out := make([]config.Match, len(matches))
	for i, m := range matches {
		out[i] = m.ByPath()
	}
	return out
}

// checkSplit refuses what would send requests nowhere, or somewhere unasked.
func checkSplit(r config.InferenceRoute, s config.Split) error {
	var errs []error
	var sum uint64
	for _, share := range s.Shares {
		sum += uint64(share.Weight)
		if _, ok := r.Version(share.Version); !ok {
			errs = append(errs, fmt.Errorf("shares: version %q is not one of the inference route's", share.Version))
		}
	}
	if sum != config.WholeSplit {
		errs = append(errs, fmt.Errorf("shares: sum to %d, not to %d", sum, config.WholeSplit))
	}
	return errors.Join(errs...)
}

// checkMirrors says why a split's copies may not be made.
func checkMirrors(r config.InferenceRoute, s config.Split) error {
	var errs []error
	if s.Repeat.Weight != 0 && s.Repeat.Weight != s.Mirror.Weight {
		errs = append(errs, fmt.Errorf("repeat: weight %d is not the mirror's, %d", s.Repeat.Weight, s.Mirror.Weight))
	}
	errs = append(errs, checkMirror(r, s.Mirror)...)
	return errors.Join(append(errs, checkMirror(r, s.Repeat)...)...)
}

func checkMirror(r config.InferenceRoute, m config.Share) []error {
	if m.Weight == 0 {
		return nil
	}
	var errs []error
	if _, ok := r.Version(m.Version); !ok {
		errs = append(errs, fmt.Errorf("mirror: version %q is not one of the inference route's", m.Version))
	}
	if m.Weight > config.WholeSplit {
		errs = append(errs, fmt.Errorf("mirror: weight %d is above %d", m.Weight, config.WholeSplit))
	}
	if r.Mirroring != config.MirroringAllowed {
		errs = append(errs, errors.New("mirror: mirroring is not Allowed"))
	}
	return errs
}
