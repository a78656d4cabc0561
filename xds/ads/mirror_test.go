package ads_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
)

func TestAMirrorThatIsLeftOutIsSaidOnce(t *testing.T) {
	story(t, func(s *stage) {
		splits := split(3, 500)
		forbidden := splits[key("filetype")]
		forbidden.Mirror = config.Share{Version: "v2", Weight: 500}
		splits[key("filetype")] = forbidden
		s.publish(filetype(), splits) // its weights are served all the same
		s.publish(filetype(), splits)
		require.Equal(t, 1, s.logged("mirror left out"))
		require.Equal(t, 1, s.logged("mirroring is not Allowed"))
		s.publish(filetype(), split(4, 500))
		s.publish(filetype(), splits)
		require.Equal(t, 2, s.logged("mirror left out"), "it was mended in between")
	})
}
