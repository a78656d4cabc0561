package fault_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/serving"
	"github.com/sluice-dev/sluice/serving/backend/fake"
	"github.com/sluice-dev/sluice/serving/server/fault"
)

func TestParse(t *testing.T) {
	plan, err := fault.Parse([]string{
		"error-rate=0.05", "latency-factor=2", "latency-add=20ms", "crash-after-requests=20",
		"unready-after=1m", "after=15s", "after-requests=3",
	})
	require.NoError(t, err)
	assert.Equal(t, fault.Plan{
		ErrorRate: 0.05, LatencyFactor: 2, LatencyAdd: 20 * time.Millisecond, CrashAfterRequests: 20,
		UnreadyAfter: time.Minute, After: 15 * time.Second, AfterRequests: 3,
	}, plan)
}

func TestParseRefuses(t *testing.T) {
	tests := []struct {
		name  string
		specs []string
		want  string
	}{
		{"an unknown key", []string{"slow=2"}, `fault "slow=2": key is one of error-rate, latency-factor, latency-add, crash-after-requests, unready-after, after, after-requests; found "slow"`},
		{"a share above one", []string{"error-rate=5"}, `fault "error-rate=5": a number above 0, at most 1, found "5"`},
		{"a factor that changes nothing", []string{"latency-factor=1"}, `fault "latency-factor=1": a number above 1, at most 1000, found "1"`},
		{"a duration without a unit", []string{"latency-add=20"}, `fault "latency-add=20": a positive duration as 20ms or 15s, found "20"`},
		{"no count", []string{"crash-after-requests=0"}, `fault "crash-after-requests=0": a positive whole number, found "0"`},
		{"a key twice", []string{"error-rate=0.1", "error-rate=0.2"}, `fault "error-rate=0.2": given more than once`},
		{"only a beginning", []string{"after=15s"}, `fault: only says when, not what, found after=15s`},
		{"two mistakes at once", []string{"x", "error-rate=no"}, "fault \"x\": key is one of error-rate, latency-factor, latency-add, crash-after-requests, unready-after, after, after-requests; found \"x\"\nfault \"error-rate=no\": a number above 0, at most 1, found \"no\""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := fault.Parse(test.specs)
			assert.EqualError(t, err, test.want)
		})
	}
}

// answers sends inference requests to a healthy server behind the faults.
func answers(i *fault.Injector, n int, path string) []int {
	h := i.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	codes := make([]int, n)
	for k := range codes {
		r := httptest.NewRecorder()
		h.ServeHTTP(r, httptest.NewRequest(http.MethodPost, path, nil))
		codes[k] = r.Code
	}
	return codes
}

func failures(codes []int) int {
	n := 0
	for _, c := range codes {
		if c == http.StatusInternalServerError {
			n++
		}
	}
	return n
}

const infer = "/v2/models/m/infer"

func TestErrors(t *testing.T) {
	plan := fault.Plan{ErrorRate: 0.05}
	first := answers(fault.New(plan, 1, nil), 10_000, infer)
	assert.InDelta(t, 500, failures(first), 60)
	assert.Equal(t, first, answers(fault.New(plan, 1, nil), 10_000, infer), "the seed decides")
	assert.NotEqual(t, first, answers(fault.New(plan, 2, nil), 10_000, infer))
	assert.Zero(t, failures(answers(fault.New(fault.Plan{ErrorRate: 1}, 1, nil), 10, "/v2/models/m")), "only inference fails")
}

func TestErrorsBeginLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := fault.New(fault.Plan{ErrorRate: 1, After: 15 * time.Second, AfterRequests: 5}, 1, nil)
		assert.Zero(t, failures(answers(i, 3, infer)))
		time.Sleep(15 * time.Second)
		assert.Equal(t, []int{200, 200, 500, 500}, answers(i, 4, infer), "requests 4 to 7")
	})
}

func TestCrash(t *testing.T) {
	crashed := 0
	i := fault.New(fault.Plan{CrashAfterRequests: 20}, 1, func() { crashed++ })
	answers(i, 20, infer)
	assert.Zero(t, crashed)
	answers(i, 1, infer)
	assert.Equal(t, 1, crashed)
}

func TestUnreadiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := fault.New(fault.Plan{UnreadyAfter: time.Minute}, 1, nil)
		assert.Equal(t, []int{200}, answers(i, 1, "/v2/health/ready"))
		time.Sleep(time.Minute)
		assert.Equal(t, []int{503}, answers(i, 1, "/v2/health/ready"))
		assert.Equal(t, []int{503}, answers(i, 1, "/v2/models/m/ready"))
		assert.Equal(t, []int{200}, answers(i, 1, infer), "requests are still answered")
	})
}

func TestLatency(t *testing.T) {
	const ms = time.Millisecond
	tests := []struct {
		name string
		plan fault.Plan
		want time.Duration
	}{
		{"a factor counts the real run", fault.Plan{LatencyFactor: 2}, 20 * ms},
		{"an addition comes on top", fault.Plan{LatencyFactor: 1.5, LatencyAdd: 20 * ms}, 35 * ms},
		{"none before it begins", fault.Plan{LatencyFactor: 2, After: time.Minute}, 10 * ms},
		{"none before enough requests", fault.Plan{LatencyFactor: 2, AfterRequests: 1}, 10 * ms},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				model, err := fake.New(1, fake.Config{PerItem: 10 * ms})
				require.NoError(t, err)
				slow := fault.New(test.plan, 1, nil).Backend(model)
				began := time.Now()
				_, err = slow.Run(t.Context(), 0, []serving.Tensor{{Shape: serving.Shape{1, 1}}})
				require.NoError(t, err)
				assert.Equal(t, test.want, time.Since(began))
			})
		})
	}
}
