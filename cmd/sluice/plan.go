package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/sluice-dev/sluice/canary/forecast"
	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/config/file"
)

const planHelp = `Plan says for each step of a rollout the least time and requests that the policy asks
for, whatever the evidence. With --rps it also tries rollouts of a healthy version in
simulated traffic, and says how long each step is likely to take and what it waits for.

Where units such as users are sticky (spec.stickiness), each counts once, however many
requests it sends: --requests-per-unit says how many that is, on average, and
decides how long the evidence takes. Unsaid, it is 10.

Where answers of a shadow are compared, it says how many that takes, and what is copied.

A route that rolls out nothing (a fixed split) has no plan.`

// routePlan is one inference route's.
type routePlan struct {
	Route  string          `json:"route"`
	Policy string          `json:"policy"`
	Steps  []forecast.Step `json:"steps"`
	// Healthy is what becomes of a healthy candidate; without --rps it is not known.
	Healthy *forecast.Healthily `json:"healthy,omitempty"`
	// Answers is of a shadow, where the policy compares its answers.
	Answers *answersPlan `json:"answers,omitempty"`
	Notes   []string     `json:"notes"`
}

func newPlan() *cobra.Command {
	var t trafficFlags
	var path, output string
	cmd := &cobra.Command{
		Use:     "plan -f FILE|FOLDER",
		GroupID: "offline",
		Short:   "Say how long each step of a rollout takes, at least and likely",
		Long:    planHelp,
		Example: "  sluice plan -f filetype.yaml\n  sluice plan -f routes/ --rps 200 --base-errors 0.1% -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(t.complete()); err != nil {
				return err
			}
			c, err := file.Load(path)
			if err != nil {
				return failure(err)
			}
			if err := refuseUnits(cmd, c); err != nil {
				return err
			}
			plans := []routePlan{}
			for _, route := range c.Routes {
				if route.Strategy.Canary == nil && (route.Strategy.Shadow == nil || route.Analysis.Policy == "") {
					continue
				}
				plan, err := planOf(cmd, c, route, t.config)
				if err != nil {
					return err
				}
				plans = append(plans, plan)
			}
			if len(plans) == 0 {
				return failure(fmt.Errorf("%s: no inference route has a canary strategy, or a shadow whose answers are compared", path))
			}
			if output != "" {
				return printObject(cmd.OutOrStdout(), output, plans)
			}
			for _, plan := range plans {
				plan.print(cmd.OutOrStdout())
			}
			return nil
		},
	}
	manifestFlag(cmd, &path)
	t.add(cmd, 20)
	outputFlag(cmd, &output)
	return cmd
}

func planOf(cmd *cobra.Command, c *config.Config, route config.InferenceRoute, traffic forecast.Config) (routePlan, error) {
	name := route.Analysis.Policy
	policy, found := c.Policy(config.Key{Namespace: route.Namespace, Name: name})
	if !found {
		return routePlan{}, failure(fmt.Errorf("%s: spec.analysis.policy: is not there, found %q", route.Key, name))
	}
	plan := routePlan{Route: route.String(), Policy: name, Steps: []forecast.Step{}, Notes: []string{}}
	if shadow := route.Strategy.Shadow; shadow != nil {
		plan.Answers = planAnswers(policy, shadow.Percent, traffic.Rate)
		return plan, nil
	}
	traffic.Policy, traffic.Mirroring = policy, route.Mirroring
	gates := 0
	for _, s := range route.Strategy.Canary.Steps {
		if s.Approve != nil {
			gates++
			continue
		}
		traffic.Steps = append(traffic.Steps, s)
		if plan.Answers == nil {
			plan.Answers = planAnswers(policy, s.Shadow, traffic.Rate)
		}
	}
	if gates > 0 {
		plan.Notes = append(plan.Notes, count(gates, "gate waits for people, and is", "gates wait for people, and are")+" left out")
	}
	plan.Notes = append(plan.Notes, stick(&traffic, route)...)
	if traffic.Rate == 0 {
		plan.Steps = forecast.Plan(policy, traffic.Steps, 0)
		plan.noteTime(policy)
		plan.Notes = append(plan.Notes, "without --rps nobody knows how long requests and evidence take to come")
		return plan, nil
	}
	traffic.StablePods, traffic.CandidatePods = podsOf(route, route.InitialStable), podsOf(route, route.Target)
	f, err := forecasting(cmd, &traffic, forecast.Healthy)
	plan.Steps, plan.Healthy = f.Steps, &f.Healthy
	plan.noteTime(policy)
	return plan, err
}

// noteTime says where the steps alone take longer than a rollout may.
func (p *routePlan) noteTime(policy config.PolicySpec) {
	var least forecast.Seconds
	for _, s := range p.Steps {
		least += s.Least
	}
	if most := policy.Limits.MaxDuration.D(); float64(least) > most.Seconds() {
		p.Notes = append(p.Notes, fmt.Sprintf("no rollout comes to its end by evidence: the steps take at least %s, "+
			"and after limits.maxDuration (%s) onInconclusive: %s decides",
			span(least), policy.Limits.MaxDuration, policy.Limits.OnInconclusive))
	}
}

// usualPerUnit is how many requests a sticky unit is taken to send, where nobody says.
const usualPerUnit = 10

// refuseUnits refuses to plan with sticky units where no route has any.
func refuseUnits(cmd *cobra.Command, c *config.Config) error {
	sticky := func(r config.InferenceRoute) bool { return r.Stickiness != nil }
	if cmd.Flags().Changed(perUnitFlag) && !slices.ContainsFunc(c.Routes, sticky) {
		return fmt.Errorf("--%s: is of sticky units, and no inference route has spec.stickiness", perUnitFlag)
	}
	return nil
}

// stick lets traffic have units where a route's are sticky, and says so.
func stick(traffic *forecast.Config, route config.InferenceRoute) []string {
	if route.Stickiness == nil {
		traffic.PerUnit = 0
		return nil
	}
	note := "units are sticky, and each counts once: the evidence takes as many of them as it would take requests"
	switch {
	case traffic.Rate == 0:
	case traffic.PerUnit == 0:
		traffic.PerUnit = usualPerUnit
		note += fmt.Sprintf("; each is taken to send %d, as --%s does not say", usualPerUnit, perUnitFlag)
	default:
		note += fmt.Sprintf("; each sends %g of them on average", traffic.PerUnit)
	}
	return []string{note}
}

func podsOf(route config.InferenceRoute, version string) int {
	v, _ := route.Version(version)
	return max(1, len(v.Endpoints))
}

func (p routePlan) print(w io.Writer) {
	fmt.Fprintf(w, "%s, by policy %s\n", p.Route, p.Policy)
	if len(p.Steps) > 0 {
		printSteps(w, p.Steps)
	}
	p.Answers.print(w)
	if h := p.Healthy; h != nil {
		last := ""
		if h.Promoted > 0 {
			last = "; the last step waits for " + orDash(h.Bottleneck)
		}
		fmt.Fprintf(w, "  a healthy version: %s%s\n", promotions(*h), last)
		printReasons(w, "    ", *h)
	}
	for _, note := range p.Notes {
		fmt.Fprintf(w, "  note: %s\n", note)
	}
}

// forecasting makes a forecast behind a progress bar.
func forecasting(
	cmd *cobra.Command, c *forecast.Config, run func(context.Context, forecast.Config) (forecast.Forecast, error),
) (forecast.Forecast, error) {
	bar := newProgress(cmd.ErrOrStderr())
	c.Progress = bar.show
	f, err := run(cmd.Context(), *c)
	bar.clear()
	return f, failure(err)
}
