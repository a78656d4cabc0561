package xds_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/xds"
)

func TestGoldenBootstraps(t *testing.T) {
	for name, c := range map[string]xds.BootstrapConfig{
		"bootstrap_sockets": {NodeID: "one", XDSAddress: "/run/sluice/xds.sock", ALSAddresses: []string{"/run/sluice/als.sock"}, AdminAddress: "/run/sluice/admin.sock"},
		"bootstrap_network": {
			NodeID: "gateway-1", Cluster: "gateways", XDSAddress: "control.sluice.svc:18000", ALSAddresses: []string{"10.0.0.1:18001", "10.0.0.2:18001"},
			AdminAddress: "localhost:9901", StateOfTheWorld: true, Reconnect: xds.Backoff{Base: 500 * time.Millisecond, Max: 2 * time.Second},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := xds.Bootstrap(c)
			require.NoError(t, err)
			golden(t, name+".golden.json", got)
		})
	}
}

func TestABootstrapNamesEveryMistake(t *testing.T) {
	_, err := xds.Bootstrap(xds.BootstrapConfig{})
	require.EqualError(t, err, strings.Join([]string{
		"bootstrap: NodeID: is empty", "bootstrap: XDSAddress: is empty", "bootstrap: AdminAddress: is empty",
	}, "\n"))
	for address, want := range map[string]string{
		"control":       `address "control": is neither host:port nor an absolute path`,
		"control:0":     `port "0" is not in 1 to 65535`,
		"control:70000": `port "70000" is not in 1 to 65535`,
		"control:http":  `port "http" is not in 1 to 65535`,
		":18000":        `address ":18000": is neither`,
		"run/xds.sock":  `address "run/xds.sock": is neither`,
	} {
		_, err := xds.Bootstrap(xds.BootstrapConfig{NodeID: "one", XDSAddress: address, AdminAddress: "/admin.sock"})
		require.ErrorContains(t, err, want)
	}
}
