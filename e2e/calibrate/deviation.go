package main

import "math"

// deviation is why a figure may lie off the published one, and how far at most. What
// lies further off is no less wrong for having an explanation.
type deviation struct {
	why string
	// from and to are the least and the most of what may be measured, in parts of what was
	// published; slack, in the figure's own unit, is added at both ends.
	from, to, slack float64
}

// bounds are what a deviation allows of a published figure; without a reason it allows
// none.
func (d deviation) bounds(published float64) (least, most float64) {
	if d.why == "" {
		return published, published
	}
	return d.from*published - d.slack, d.to*published + d.slack
}

// apart is a deviation of so much of a share.
func apart(why string, slack float64) deviation { return deviation{why, 1, 1, slack} }

// mixture is how the engine's weights differ from the published ones: small effects take
// longer, and those of about eight times the odds less.
func mixture() deviation {
	return deviation{"the engine gives 4/5 of a test's evidence to the start, and more to about eight times the odds", .8, 1.3, 0}
}

// few is mixture's, where a handful of requests decides: by three errors, and looks as
// far apart as so many requests.
func few(apart float64) deviation {
	d := mixture()
	d.why, d.slack = d.why+"; it never blames fewer than 3 errors", apart
	return d
}

// blocks is of a statistic of pods, which has a say once a block.
func blocks(why string, of float64) deviation { return deviation{why, .7, 1.3, 3 * of} }

// unexplained says whether a figure surely lies further off the published one than its
// deviation allows; of one without, than its Monte-Carlo error does.
func (f figure) unexplained() bool {
	if math.IsNaN(f.published) {
		return false
	}
	least, most := f.off.bounds(f.published)
	low, high := f.wide()
	return low > most || high < least
}

// wide is a figure's interval with the error of what was published, which is about as
// large as its own.
func (f figure) wide() (low, high float64) {
	if math.IsInf(f.measured, 1) { // more runs than not found nothing
		return f.low, f.measured
	}
	return f.measured - 1.5*(f.measured-f.low), f.measured + 1.5*(f.high-f.measured)
}
