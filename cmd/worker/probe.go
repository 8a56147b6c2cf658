package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"habilita/internal/config"
)

// probeTimeout is the longest time for the answer of /readyz, which asks Redis.
const probeTimeout = 5 * time.Second

// maxReason is as much of a reason as a probe tells.
const maxReason = 1 << 10 // bytes

var errProbe = errors.New("the worker takes no calls")

// probeCommand is for health checks that run within the container: the image has no shell.
func probeCommand(e env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "probe",
		Short: "Ask the worker of this container whether it takes calls",
		Long: `probe asks /readyz of the worker that runs on this machine with the same LISTEN. It is the health
check of docker-compose.yml, since the image has no shell and no other program.

Exit status: 0 the worker takes calls; 1 it does not, and why; 2 wrong usage or settings.`,
		Example: `  worker probe
  docker compose exec worker /usr/local/bin/worker probe`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := config.Load(cmd.Flags(), e.getenv, config.Pages)
			if err != nil {
				return usageError{err}
			}
			if s.Listen == "" {
				return usageError{errors.New("LISTEN is off: there is nothing to ask")}
			}
			return probe(cmd.Context(), s.Listen)
		},
	}
	config.Bind(cmd.Flags(), config.Pages)
	return cmd
}

// probe asks the worker that listens at an address of this machine.
func probe(ctx context.Context, listen string) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("LISTEN: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1" // it listens at all addresses: also at this one
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req) // by no proxy
	if err != nil {
		return fmt.Errorf("%w: %w", errProbe, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	reason, err := io.ReadAll(io.LimitReader(resp.Body, maxReason))
	if err != nil {
		return fmt.Errorf("%w: %d: %w", errProbe, resp.StatusCode, err)
	}
	return fmt.Errorf("%w: %s", errProbe, strings.TrimSpace(string(reason)))
}
