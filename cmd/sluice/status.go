package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/api"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/cmd/sluice/live"
	"github.com/sluice-dev/sluice/config"
)

// statusOptions are the flags of `sluice status`.
type statusOptions struct {
	key     config.Key
	watch   bool
	timeout time.Duration
	output  string
}

func newStatus() *cobra.Command {
	var o statusOptions
	cmd := &cobra.Command{
		Use:     "status [NAMESPACE/]NAME",
		GroupID: "look",
		Short:   "Everything about one inference route; with --watch, live",
		Long: `Status prints one screen: what is waited for, the candidate's share as wanted, as
acknowledged by every connected proxy and as observed in access logs, how far the step
has come, each test's evidence against its threshold, trips, conditions and proxies.

With --watch it follows a rollout to its end: the one that runs, or else the next that
begins. A promoted version is followed until it has baked. On a terminal the screen is
redrawn (q leaves); otherwise a line is printed whenever something changed, and at most
every 10 seconds while only counts did. A gate and a hold are waited for, too: give a
--timeout where nobody may answer. A control plane that goes away is said and waited for. With --output nothing is printed before the end.

Exit code 3 without --watch: the target was rolled back. With --watch: the rollout ended
in any other way than promoted. 4: --timeout passed first. 1: it was left before the end.`,
		Example: "  sluice status ml/filetype\n" +
			"  sluice status ml/filetype --watch\n" +
			"  sluice status ml/filetype --watch --timeout 30m && ./deploy-the-rest.sh",
		Args: oneRoute,
	}
	t := targetFlags(cmd)
	cmd.ValidArgsFunction = t.completeRoutes(1)
	f := cmd.Flags()
	f.BoolVarP(&o.watch, "watch", "w", false, "follow a rollout until it ends")
	f.DurationVar(&o.timeout, "timeout", 0, "with --watch: give up after so long (default: never)")
	outputFlag(cmd, &o.output)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if err := o.check(); err != nil {
			return err
		}
		looker := &looker{target: t}
		if looker.client, o.key, err = t.find(cmd.Context(), args[0]); err != nil {
			return err
		}
		looker.key = o.key
		defer looker.close()
		if o.watch {
			return o.follow(cmd, looker)
		}
		return o.print(cmd, looker)
	}
	return cmd
}

func (o statusOptions) check() error {
	switch {
	case o.timeout < 0:
		return fmt.Errorf("--timeout: is negative, found %s", o.timeout)
	case o.timeout > 0 && !o.watch:
		return errors.New("--timeout: needs --watch")
	}
	return nil
}

// print shows what is now.
func (o statusOptions) print(cmd *cobra.Command, l *looker) error {
	s, err := l.look(cmd.Context())
	if err != nil {
		return failure(err)
	}
	if err := o.show(cmd, s); err != nil {
		return err
	}
	if c, _ := s.Condition(canary.RolledBack); c.Status == canary.True {
		return &exitError{code: exitRollback}
	}
	return nil
}

func (o statusOptions) show(cmd *cobra.Command, s controller.Snapshot) error {
	if o.output != "" {
		return printObject(cmd.OutOrStdout(), o.output, s)
	}
	_, err := fmt.Fprint(cmd.OutOrStdout(), live.Screen(s, live.LookOf(os.Getenv, terminalOf(cmd.OutOrStdout()))))
	return failure(err)
}

// follow watches a rollout to its end.
func (o statusOptions) follow(cmd *cobra.Command, l *looker) error {
	ctx := cmd.Context()
	if o.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.timeout)
		defer cancel()
	}
	terminal := terminalOf(cmd.OutOrStdout())
	c := live.Config{Key: o.key, Glance: l.look, Out: cmd.OutOrStdout(), Look: live.LookOf(os.Getenv, terminal)}
	var e live.Ending
	var err error
	switch {
	case o.output != "":
		c.Out = io.Discard
		e, err = live.Lines(ctx, c)
		if err == nil {
			err = o.show(cmd, e.Last)
		}
	case terminal.Width > 0 && os.Getenv("TERM") != "dumb" && terminalOf(cmd.InOrStdin()).Width > 0:
		e, err = live.Screens(ctx, cmd.InOrStdin(), c)
	default:
		c.Look.Color, c.Look.Width = false, 0
		e, err = live.Lines(ctx, c)
	}
	return o.outcome(e, err)
}

// outcome gives a watch's exit code.
func (o statusOptions) outcome(e live.Ending, err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &exitError{code: exitTimeout, err: fmt.Errorf("no end within %s: %w", o.timeout, err)}
	case errors.Is(err, live.ErrLeft):
		return &exitError{code: exitFailure}
	case err != nil:
		return failure(err)
	case e.Finished.Outcome != canary.OutcomePromoted:
		return &exitError{code: exitRollback}
	}
	return nil
}

// terminalOf measures a stream; a file or a pipe has no width.
func terminalOf(stream any) live.Terminal {
	f, ok := stream.(*os.File)
	if !ok || !term.IsTerminal(f.Fd()) {
		return live.Terminal{}
	}
	width, _, err := term.GetSize(f.Fd())
	if err != nil || width < 1 {
		width = 80 // a terminal that does not say
	}
	return live.Terminal{Width: width}
}

// looker finds the control plane again after it was away: it may have come back
// at another address.
type looker struct {
	target *target
	key    config.Key
	client *api.Client
}

func (l *looker) look(ctx context.Context) (controller.Snapshot, error) {
	if l.client == nil {
		client, err := l.target.client()
		if err != nil {
			return controller.Snapshot{}, err
		}
		l.client = client
	}
	s, err := l.client.Get(ctx, l.key)
	if err != nil && !errors.Is(err, api.ErrNoRoute) {
		l.close()
	}
	return s, err
}

func (l *looker) close() {
	if l.client != nil {
		l.client.Close()
		l.client = nil
	}
}
