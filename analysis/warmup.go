package analysis

import (
	"slices"
	"strings"

	"github.com/sluice-dev/sluice/config"
)

// warming is how far a candidate's pod has come from its first request.
type warming struct {
	Pod      string `json:"pod"`
	Since    int64  `json:"since"` // index of its first window
	Requests int64  `json:"requests"`
}

// warmings are a candidate's pods, by name.
type warmings []warming

// warmingsKept bounds how many pods are remembered; beyond, the one first seen
// is forgotten, and warms up anew should it live.
const warmingsKept = 256

// warm says whether a pod has its warm-up behind it at an index: the policy's
// time or its requests, whichever ends first.
func (ws warmings) warm(w config.Warmup, pod string, index int64) bool {
	at, found := ws.find(pod)
	if !found {
		return w.PerPod <= 0 || w.Requests <= 0
	}
	past := (index - ws[at].Since) * int64(WindowLength)
	return past >= int64(w.PerPod) || ws[at].Requests >= w.Requests
}

// add counts a window of a pod.
func (ws *warmings) add(w *Window) {
	at, found := ws.find(w.Pod)
	if !found {
		*ws = slices.Insert(*ws, at, warming{Pod: w.Pod, Since: w.Index})
	}
	(*ws)[at].Requests += w.Requests
	if len(*ws) > warmingsKept {
		ws.forget()
	}
}

func (ws *warmings) forget() {
	oldest := 0
	for i, w := range *ws {
		if w.Since < (*ws)[oldest].Since {
			oldest = i
		}
	}
	*ws = slices.Delete(*ws, oldest, oldest+1)
}

func (ws warmings) find(pod string) (int, bool) {
	return slices.BinarySearchFunc(ws, pod, func(w warming, pod string) int { return strings.Compare(w.Pod, pod) })
}
