package filestore

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/config"
)

// KeptBetween is how many decisions between rollouts are kept per inference
// route; those of rollouts are kept until Forget.
const KeptBetween = 1000

// between is the bucket of decisions that concern no rollout.
const between = "-"

// Load gives the last saved checkpoint of an inference route, and whether there
// is one.
func (s *Store) Load(k config.Key) (c canary.Checkpoint, ok bool, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		route := routeIn(tx, k)
		if route == nil {
			return nil
		}
		data := route.Get([]byte(stateKey))
		if data == nil {
			return nil
		}
		ok = true
		if err := errors.Join(json.Unmarshal(data, &c), addTest(route, &c)); err != nil {
			return fmt.Errorf("state of %s: %w", k, err)
		}
		return nil
	})
	return c, ok && err == nil, err
}

// Save makes a checkpoint and the decisions since the last one durable, both or
// neither, before it returns. What an A/B test that runs has counted is written only
// where the checkpoint has it.
func (s *Store) Save(c canary.Checkpoint, made []canary.Decision) error {
	test := c.ABTest
	c.ABTest = nil
	data, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("state of %s: %w", c.State.Route, err)
	}
	return s.update(func(tx *bolt.Tx) error {
		route, err := tx.Bucket([]byte(routesBucket)).CreateBucketIfNotExists(routeName(c.State.Route))
		if err != nil {
			return err
		}
		for _, d := range made {
			if err := appendTo(route, d); err != nil {
				return err
			}
		}
		return errors.Join(putTest(route, c.State, test), route.Put([]byte(stateKey), data))
	})
}

// appendTo files a decision with the rollout it concerns, and with the one it
// begins.
func appendTo(route *bolt.Bucket, d canary.Decision) error {
	data, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("decision %d: %w", d.Seq, err)
	}
	all, err := route.CreateBucketIfNotExists([]byte(decisions))
	if err != nil {
		return err
	}
	names := []string{cmp.Or(d.Rollout, between)}
	if d.Begins != "" && d.Begins != d.Rollout {
		names = append(names, d.Begins)
	}
	for _, name := range names {
		one, err := all.CreateBucketIfNotExists([]byte(name))
		if err != nil {
			return err
		}
		if err := one.Put(sequence(d.Seq), data); err != nil {
			return err
		}
	}
	return prune(all.Bucket([]byte(between)))
}

// prune forgets the oldest decisions between rollouts.
func prune(b *bolt.Bucket) error {
	if b == nil {
		return nil
	}
	extra := b.Stats().KeyN - KeptBetween
	cursor := b.Cursor()
	for key, _ := cursor.First(); key != nil && extra > 0; key, _ = cursor.Next() {
		if err := cursor.Delete(); err != nil {
			return err
		}
		extra--
	}
	return nil
}

// Decisions gives the log of a rollout in order, or, without one, all decisions
// that are kept of the inference route.
func (s *Store) Decisions(k config.Key, rollout string) (found []canary.Decision, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		all := within(routeIn(tx, k), decisions)
		if all == nil {
			return nil
		}
		if rollout != "" {
			found, err = decisionsIn(within(all, rollout), found)
			return err
		}
		return all.ForEachBucket(func(name []byte) error {
			found, err = decisionsIn(all.Bucket(name), found)
			return err
		})
	})
	slices.SortFunc(found, func(a, b canary.Decision) int { return cmp.Compare(a.Seq, b.Seq) })
	found = slices.CompactFunc(found, func(a, b canary.Decision) bool { return a.Seq == b.Seq })
	return found, err
}

func decisionsIn(b *bolt.Bucket, found []canary.Decision) ([]canary.Decision, error) {
	if b == nil {
		return found, nil
	}
	err := b.ForEach(func(key, data []byte) error {
		var d canary.Decision
		if err := json.Unmarshal(data, &d); err != nil {
			return fmt.Errorf("decision %d: %w", binary.BigEndian.Uint64(key), err)
		}
		found = append(found, d)
		return nil
	})
	return found, err
}

// Rollouts lists the rollouts that have decisions, sorted by name.
func (s *Store) Rollouts(k config.Key) (ids []string, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		all := within(routeIn(tx, k), decisions)
		if all == nil {
			return nil
		}
		return all.ForEachBucket(func(name []byte) error {
			if string(name) != between {
				ids = append(ids, string(name))
			}
			return nil
		})
	})
	return ids, err
}

// Forget drops the decisions of rollouts. One that has none is no error.
func (s *Store) Forget(k config.Key, rollouts ...string) error {
	return s.update(func(tx *bolt.Tx) error {
		all := within(routeIn(tx, k), decisions)
		if all == nil {
			return nil
		}
		for _, id := range rollouts {
			if id == between || all.Bucket([]byte(id)) == nil {
				continue
			}
			if err := all.DeleteBucket([]byte(id)); err != nil {
				return err
			}
		}
		return nil
	})
}

func routeName(k config.Key) []byte { return []byte(k.String()) }

func routeIn(tx *bolt.Tx, k config.Key) *bolt.Bucket {
	return tx.Bucket([]byte(routesBucket)).Bucket(routeName(k))
}

// within is a bucket's bucket; nil where there is none.
func within(b *bolt.Bucket, name string) *bolt.Bucket {
	if b == nil {
		return nil
	}
	return b.Bucket([]byte(name))
}

// sequence is a key that sorts as the number does.
func sequence(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
