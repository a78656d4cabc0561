package serving_test

import (
	"os"
	"testing"

	"github.com/sluice-dev/sluice/e2e/serving"
)

func TestMain(m *testing.M) {
	code := m.Run()
	serving.Clean()
	os.Exit(code)
}
