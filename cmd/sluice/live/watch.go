package live

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/api"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/config"
)

// Sight is one look at an inference route.
type Sight struct {
	At       time.Time
	Snapshot controller.Snapshot
	Err      error // nil when the control plane answered
}

// Ending is how a watch ended.
type Ending struct {
	Finished canary.Finished
	Last     controller.Snapshot // that was seen
}

// ErrLost ends a watch of something that is no longer there.
var ErrLost = errors.New("is gone")

// Watch follows one rollout of an inference route: the one that runs at the first
// look, or else the next that begins. It outlives the control plane's absence.
type Watch struct {
	key  config.Key
	look Look

	seen     bool
	last     controller.Snapshot
	rollout  string // that is followed; empty until one runs
	before   string // the newest rollout that had ended at the first look
	away     time.Time
	why      string
	lostAt   time.Time // since when the inference route is unknown
	told     gist
	toldAt   time.Time
	toldUpTo int64 // counts then
	ending   *Ending
	err      error
}

const (
	// confirmTime is how long an ended rollout may take until every proxy has
	// acknowledged the split that ended it. After that nobody will.
	confirmTime = 2 * time.Second
	// lostTime is how long an inference route may be unknown: a control plane that
	// starts serves its API before its configuration.
	lostTime = 5 * time.Second
	// countTime is how often running numbers alone are worth a line.
	countTime = 10 * time.Second
)

// NewWatch makes a watch that has seen nothing.
func NewWatch(k config.Key, look Look) *Watch { return &Watch{key: k, look: look} }

// See takes one look in and gives the lines that tell what is new.
func (w *Watch) See(s Sight) (news []string) {
	switch {
	case w.done():
		return nil
	case s.Err == nil:
		return w.show(s)
	case !w.seen:
		w.err = s.Err
		return nil
	case errors.Is(s.Err, api.ErrNoRoute):
		return w.miss(s)
	case w.away.IsZero():
		w.away, w.why = s.At, strings.TrimPrefix(s.Err.Error(), "control plane: ")
		return []string{w.tell(s.At, "event=away", "control plane away: "+w.why)}
	}
	return nil
}

// Ended says how it ended, once it has. An error is none of the rollout's.
func (w *Watch) Ended() (e Ending, over bool, err error) {
	if w.ending != nil {
		return *w.ending, true, nil
	}
	return Ending{Last: w.last}, w.err != nil, w.err
}

// Last is the newest snapshot, and whether there is one.
func (w *Watch) Last() (controller.Snapshot, bool) { return w.last, w.seen }

// Away says since when the control plane does not answer, and why.
func (w *Watch) Away() (since time.Time, why string) { return w.away, w.why }

func (w *Watch) done() bool { return w.ending != nil || w.err != nil }

// show takes an answer in.
func (w *Watch) show(s Sight) (news []string) {
	if !w.away.IsZero() {
		news = append(news, w.tell(s.At, "event=back", "control plane is back after "+lasting(s.At.Sub(w.away))))
		w.away, w.why = time.Time{}, ""
	}
	w.lostAt = time.Time{}
	if !w.seen {
		w.seen, w.before = true, newest(s.Snapshot)
	}
	w.last = s.Snapshot
	w.follow()
	switch {
	case w.ending != nil:
		news = append(news, w.obituary(s.At))
	case w.isNews(s):
		w.told, w.toldAt, w.toldUpTo = gistOf(w.last), s.At, counts(w.last)
		news = append(news, stamped(s.At, w.key.String(), Line(w.last, w.look)))
	}
	return news
}

// follow picks a rollout, and sees whether it has ended.
func (w *Watch) follow() {
	state := w.last.State
	switch {
	case w.rollout != "":
	case state.Rollout != nil:
		w.rollout = state.Rollout.ID
	case newest(w.last) != w.before:
		w.rollout = newest(w.last) // it began and ended between two looks
	default:
		return
	}
	if state.Rollout != nil && state.Rollout.ID == w.rollout {
		return
	}
	for _, f := range state.History {
		if f.ID != w.rollout {
			continue
		}
		if !f.Confirmed.IsZero() && len(f.Unconfirmed) == 0 || state.Rollout != nil || w.last.At.Sub(f.Ended) >= confirmTime {
			w.ending = &Ending{Finished: f, Last: w.last}
		}
		return
	}
	w.err = fmt.Errorf("%s: rollout %s %w from its history", w.key, w.rollout, ErrLost)
}

// miss waits for an inference route that is unknown to come back.
func (w *Watch) miss(s Sight) []string {
	switch {
	case w.lostAt.IsZero():
		w.lostAt = s.At
		return []string{w.tell(s.At, "event=unknown", s.Err.Error())}
	case s.At.Sub(w.lostAt) >= lostTime:
		w.err = fmt.Errorf("%s: %w: %w", w.key, ErrLost, s.Err)
	}
	return nil
}

func (w *Watch) isNews(s Sight) bool {
	if w.toldAt.IsZero() || gistOf(w.last) != w.told {
		return true
	}
	return s.At.Sub(w.toldAt) >= countTime && counts(w.last) != w.toldUpTo
}

// obituary of the rollout that was followed.
func (w *Watch) obituary(at time.Time) string {
	f := w.ending.Finished
	confirmed := "confirmed=never"
	if !f.Confirmed.IsZero() {
		confirmed = "confirmed=" + lasting(f.Confirmed.Sub(f.Ended))
	}
	said := words{look: w.look, pairs: []string{fmt.Sprintf("event=ended rollout=%s outcome=%s cause=%s %s", f.ID, f.Outcome, f.Cause, confirmed)}}
	said.add("unconfirmed", strings.Join(f.Unconfirmed, ","))
	return stamped(at, w.key.String(), said.say(f.Reason))
}

func (w *Watch) tell(at time.Time, pairs, message string) string {
	said := words{look: w.look, pairs: []string{pairs}}
	return stamped(at, w.key.String(), said.say(message))
}

// newest is the id of the rollout that ended last.
func newest(s controller.Snapshot) string {
	if len(s.State.History) == 0 {
		return ""
	}
	return s.State.History[0].ID
}
