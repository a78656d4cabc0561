package ads_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds/ads"
)

func TestAMirrorThatIsLeftOutIsSaidOnce(t *testing.T) {
	var log bytes.Buffer
	s, err := ads.New(ads.Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)
	splits := split(3, 500)
	forbidden := splits[key("filetype")]
	forbidden.Mirror = config.Share{Version: "v2", Weight: 500}
	splits[key("filetype")] = forbidden
	require.NoError(t, s.Publish(filetype(), splits), "its weights are served all the same")
	require.NoError(t, s.Publish(filetype(), splits))
	require.Equal(t, 1, strings.Count(log.String(), "mirror left out"), "%s", log.String())
	require.Contains(t, log.String(), "mirroring is not Allowed")
}
