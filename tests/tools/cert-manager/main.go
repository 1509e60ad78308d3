// Command cert-manager runs the three programs of cert-manager, chosen by the
// first argument: controller, webhook or cainjector. They take the flags that
// the chart of the same version passes; another flag is an error.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	logf "github.com/cert-manager/cert-manager/pkg/logs"
)

var programs = map[string]func(context.Context, []string) error{
	"controller": runController,
	"webhook":    runWebhook,
	"cainjector": runInjector,
}

func main() {
	if len(os.Args) < 2 || programs[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: cert-manager controller|webhook|cainjector [flags]")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	logf.InitLogs()
	defer logf.FlushLogs()
	ctx = logf.NewContext(ctx, logf.Log, os.Args[1])
	if err := programs[os.Args[1]](ctx, os.Args[2:]); err != nil {
		logf.FromContext(ctx).Error(err, "stopped")
		logf.FlushLogs()
		os.Exit(1)
	}
}
