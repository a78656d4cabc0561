package analysis

import (
	"strconv"

	"github.com/sluice-dev/sluice/analysis/compare"
	"github.com/sluice-dev/sluice/config"
)

// LongestBody is how many bytes of an answer's body are read. One that is longer is not
// compared.
const LongestBody = 256 << 10

// Copy is the answer to a copied request, with its body, as a proxy tells it. It came
// whole, or is too long: of one that did not, its log entry tells.
type Copy struct {
	Route   config.Key
	Version string // that answered
	Epoch   uint64 // of the split that copied it
	ID      string // as in Request
	Second  bool   // stable's second answer
	Status  int    // HTTP
	Body    []byte // up to LongestBody
	Long    bool   // it is longer, and not here
}

// Gist is what is compared of a Copy. It holds no body.
type Gist struct {
	by      *config.Compare
	version string
	epoch   uint64
	id      string
	second  bool
	answer  answer
}

// GistOf reads what a comparator, Pairs.Reads, compares. It is the costly part, and may
// be called by many goroutines.
func GistOf(by *config.Compare, c Copy) Gist {
	a := answer{there: true, status: strconv.Itoa(c.Status), outcome: Failed}
	switch {
	case c.Status >= 500:
	case c.Status >= 400:
		a.outcome = ClientFault
	default:
		a.outcome = Succeeded
		a.read(*by, c)
	}
	return Gist{by: by, version: c.Version, epoch: c.Epoch, id: c.ID, second: c.Second, answer: a}
}

func (a *answer) read(by config.Compare, c Copy) {
	if c.Long {
		a.long = true
		return
	}
	value, err := compare.Read(by, c.Body)
	if err != nil {
		a.unreadable = err.Error()
		return
	}
	a.value = &value
}
