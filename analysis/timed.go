package analysis

// timed is the evidence on each kind of times; nil where nothing is compared.
func (e *Evidence) timed() [timingCount]*latency {
	return [timingCount]*latency{e.Latency, e.TTFB, e.TPOT}
}

// countTimes adds the windows of one index to every test of times. The candidate's
// pods that were not warm when it began are left out.
func (e *Evidence) countTimes(u *updater, windows []*Window) {
	timed, names := e.timed(), timings()
	for i, l := range timed {
		l.look(u.ranks[i])
	}
	e.Segments.look(u)
	gathered := make([]limited, len(u.limits))
	for _, w := range windows {
		of := e.Arms.side(w.Version)
		if of == ofCandidate && !e.Warm.warm(u.warmup, w.Pod, w.Index) {
			continue
		}
		for i, l := range timed {
			if times := w.times(names[i]); l != nil && len(times) > 0 {
				l.add(u.ranks[i], w.Pod, times, of)
				l.remember(times, of)
			}
		}
		e.Segments.addTimes(u, w, of)
		e.countLimited(u, gathered, w, of)
	}
	for i, l := range gathered {
		if l.surely.N > 0 {
			e.Limits[i].add(&u.grids[i], l.surely, l.possibly)
		}
	}
	for _, w := range windows {
		if w.Version == e.Arms.Candidate && w.Pod != "" {
			e.Warm.add(w)
		}
	}
}

// limited counts the candidate's times against a limit.
type limited struct{ surely, possibly rate }

// countLimited adds a window to every limit of times: stable's to what is remembered
// of it, the candidate's to what is gathered of this index.
func (e *Evidence) countLimited(u *updater, gathered []limited, w *Window, of side) {
	for i := range u.limits {
		l := &u.limits[i]
		if l.latency == 0 {
			continue
		}
		times := w.times(l.of)
		if of == ofStable {
			e.Limits[i].Stable.add(l.surely(times))
			continue
		}
		gathered[i].surely = gathered[i].surely.plus(l.surely(times))
		gathered[i].possibly = gathered[i].possibly.plus(l.possibly(times))
	}
}
