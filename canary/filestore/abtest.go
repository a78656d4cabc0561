package filestore

import (
	"bytes"
	"encoding/json"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/sluice-dev/sluice/canary"
)

// What an A/B test has counted has a bucket of its own, and pages of its own with it:
// that a decision is saved next to it does not write it again. Its memory, several MB,
// is kept as it is, and the rest as JSON.
const (
	abBucket  = "abTest"
	abRestKey = "rest"
	abMemory  = "memory"
)

// putTest keeps what an A/B test has counted where that is new. Nothing is kept of one
// that has ended.
func putTest(route *bolt.Bucket, s canary.State, kept *canary.KeptABTest) error {
	if s.RunningTest() == nil {
		if route.Bucket([]byte(abBucket)) == nil {
			return nil
		}
		return route.DeleteBucket([]byte(abBucket))
	}
	if kept == nil {
		return nil
	}
	rest := *kept
	rest.Memory = nil
	data, err := json.Marshal(rest)
	if err != nil {
		return fmt.Errorf("A/B test %s: %w", kept.ID, err)
	}
	b, err := route.CreateBucketIfNotExists([]byte(abBucket))
	if err != nil {
		return err
	}
	if err := b.Put([]byte(abRestKey), data); err != nil {
		return err
	}
	return b.Put([]byte(abMemory), kept.Memory)
}

// addTest adds what an A/B test has counted to its checkpoint. One in which it is already
// was saved by an older version, later than what is beside it.
func addTest(route *bolt.Bucket, c *canary.Checkpoint) error {
	b := within(route, abBucket)
	if b == nil || c.ABTest != nil {
		return nil
	}
	kept := &canary.KeptABTest{}
	if err := json.Unmarshal(b.Get([]byte(abRestKey)), kept); err != nil {
		return fmt.Errorf("A/B test: %w", err)
	}
	kept.Memory = bytes.Clone(b.Get([]byte(abMemory)))
	c.ABTest = kept
	return nil
}
