// Package analysis turns what Envoy reported about single requests into a
// verdict on a candidate that is valid at every look. Requests are binned into
// windows of integer sums, closed windows become evidence (log e-values), and
// evidence becomes a verdict: healthy, harmful, undecided or blind. It never
// reads a clock, a socket or a file, and never pools counts over a changing
// split; time is an argument.
//
// Start reading at Request (what is known of one attempt), then Bins (requests
// into windows), Evidence (windows into log e-values), Judge (evidence into an
// Assessment), and Watch (the trip, which does not wait for windows).
package analysis
