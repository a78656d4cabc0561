package analysis

// shifts is the number of alternatives that an e-value is averaged over.
const shifts = 14

// shiftsOf lists how far the alternatives lie from the null in log odds, 0.1 to
// 7.9: from a tenth worse to hopeless. research: statistics §2a.
func shiftsOf() [shifts]float64 {
	var ds [shifts]float64
	d := 0.1
	for k := range ds {
		ds[k] = d
		d *= 1.4
	}
	return ds
}

// process is a test's evidence in progress: for each alternative the log
// likelihood ratio to the null, of all past blocks and of the block under way.
// Its mean over the alternatives is an e-process.
type process struct {
	Past [shifts]nats `json:"past"`
	Open [shifts]nats `json:"open"`
}

// closeBlock ends the block. A block's evidence is capped at each alternative:
// min(LR, c) keeps the expectation at most one, and no burst can decide alone.
func (p *process) closeBlock(limit nats) {
	for k, open := range p.Open {
		p.Past[k] = p.Past[k].plus(min(open, limit))
	}
	p.Open = [shifts]nats{}
}

// logE is the log e-value now, in nats.
func (p *process) logE(limit nats) float64 {
	var logs [shifts]float64
	for k, open := range p.Open {
		logs[k] = p.Past[k].plus(min(open, limit)).float()
	}
	return logSumExp(logs[:]...) - ln(shifts)
}

// A rollout's first moment gets firstPart of a rollback test's evidence, and each
// of its planned minutes an equal part of the rest: a candidate that was good for
// long is not acquitted of what it does later. The parts not yet spent count as
// they are. research: statistics §2a, change-point mixture.
const firstPart = 0.8

// Alternatives do not get equal parts: each has rising times the part of the one
// before up to eight times the odds, and falling times beyond: so 5% errors against 0.5%
// are found, at an alpha of 1% and in 95% of rollouts, within 258 requests and not 287;
// 222 if the odds were known, and 197 if both rates were (Wald 1945).
// What is hopeless is found in seconds in any case, a small difference takes many
// minutes in any case.
const (
	rising  = 1.5
	falling = 0.9
	usual   = 9 // the alternative of eight times the odds
)

// partsOfShifts are the alternatives' parts. Their mean is one.
func partsOfShifts() (parts [shifts]float64) {
	sum, part := 0.0, 1.0
	for k := range parts {
		parts[k] = part
		sum += part
		if k < usual {
			part = float64(part * rising)
		} else {
			part = float64(part * falling)
		}
	}
	for k := range parts {
		parts[k] *= shifts / sum
	}
	return parts
}

// start gives the alternatives another start with a part of the evidence, in the
// mean over all of them.
func (p *process) start(part float64) {
	for k, of := range partsOfShifts() {
		begin(p.Past[k:k+1], float64(part*of))
	}
}

// begin gives each alternative another start with a part of the evidence.
func begin(past []nats, part float64) {
	for k, p := range past {
		past[k] = fixed(logSumExp(p.float(), ln(part)))
	}
}

// notBegun is the evidence of an alternative that has had no start yet.
func notBegun(past []nats) {
	for k := range past {
		past[k] = -natsLimit
	}
}

// withUnspent adds evidence that no start has used yet to a log e-value.
func withUnspent(logE, unspent float64) float64 {
	if unspent <= 0 {
		return logE
	}
	return logSumExp(logE, ln(unspent))
}
