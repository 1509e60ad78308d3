package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	config "github.com/cert-manager/cert-manager/internal/apis/config/controller"
	"github.com/cert-manager/cert-manager/internal/apis/config/controller/scheme"
	defaults "github.com/cert-manager/cert-manager/internal/apis/config/controller/v1alpha1"
	"github.com/cert-manager/cert-manager/internal/apis/config/shared"
	configv1alpha1 "github.com/cert-manager/cert-manager/pkg/apis/config/controller/v1alpha1"
	"github.com/cert-manager/cert-manager/pkg/controller"
	"github.com/cert-manager/cert-manager/pkg/healthz"
	logf "github.com/cert-manager/cert-manager/pkg/logs"

	_ "github.com/cert-manager/cert-manager/pkg/issuer/acme"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/ca"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/selfsigned"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/vault"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/venafi"
)

func controllerConfiguration(arguments []string) (*config.ControllerConfiguration, error) {
	known, _, err := scheme.NewSchemeAndCodecs()
	if err != nil {
		return nil, err
	}
	versioned := &configv1alpha1.ControllerConfiguration{}
	known.Default(versioned)
	c := &config.ControllerConfiguration{}
	if err := known.Convert(versioned, c, nil); err != nil {
		return nil, err
	}
	flags := pflag.NewFlagSet("controller", pflag.ContinueOnError)
	flags.StringVar(&c.ClusterResourceNamespace, "cluster-resource-namespace", c.ClusterResourceNamespace, "")
	flags.StringVar(&c.ACMEHTTP01Config.SolverImage, "acme-http01-solver-image", c.ACMEHTTP01Config.SolverImage, "")
	flags.IntVar(&c.MaxConcurrentChallenges, "max-concurrent-challenges", c.MaxConcurrentChallenges, "")
	flags.BoolVar(&c.EnableCertificateOwnerRef, "enable-certificate-owner-ref", c.EnableCertificateOwnerRef, "")
	flags.StringVar(&c.MetricsListenAddress, "metrics-listen-address", c.MetricsListenAddress, "")
	leaderFlags(flags, &c.LeaderElectionConfig.LeaderElectionConfig)
	logf.AddFlags(&c.Logging, flags)
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	return c, logf.ValidateAndApply(&c.Logging)
}

func leaderFlags(flags *pflag.FlagSet, c *shared.LeaderElectionConfig) {
	flags.BoolVar(&c.Enabled, "leader-elect", c.Enabled, "")
	flags.StringVar(&c.Namespace, "leader-election-namespace", c.Namespace, "")
	flags.DurationVar(&c.LeaseDuration, "leader-election-lease-duration", c.LeaseDuration, "")
	flags.DurationVar(&c.RenewDeadline, "leader-election-renew-deadline", c.RenewDeadline, "")
	flags.DurationVar(&c.RetryPeriod, "leader-election-retry-period", c.RetryPeriod, "")
}

func runController(ctx context.Context, arguments []string) error {
	c, err := controllerConfiguration(arguments)
	if err != nil {
		return err
	}
	options, err := contextOptions(c)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	factory, err := controller.NewContextFactory(ctx, options)
	if err != nil {
		return err
	}
	base, err := factory.Build()
	if err != nil {
		return err
	}
	if err := serveMetrics(ctx, group, base, c.MetricsListenAddress); err != nil {
		return err
	}
	health := healthz.NewServer(c.LeaderElectionConfig.HealthzTimeout)
	healthListener, err := net.Listen("tcp", c.HealthzListenAddress)
	if err != nil {
		return fmt.Errorf("listen for health checks: %w", err)
	}
	group.Go(func() error { return health.Start(ctx, healthListener) })
	if err := lead(ctx, group, factory, c, health); err != nil {
		return errors.Join(err, group.Wait())
	}
	if err := startControllers(ctx, group, factory); err != nil {
		return err
	}
	base.SharedInformerFactory.Start(ctx.Done())
	base.KubeSharedInformerFactory.Start(ctx.Done())
	base.HTTP01ResourceMetadataInformersFactory.Start(ctx.Done())
	return group.Wait()
}

func contextOptions(c *config.ControllerConfiguration) (controller.ContextOptions, error) {
	solver := controller.ACMEOptions{
		HTTP01SolverImage:            c.ACMEHTTP01Config.SolverImage,
		ACMEHTTP01SolverRunAsNonRoot: c.ACMEHTTP01Config.SolverRunAsNonRoot,
		DNS01CheckAuthoritative:      !c.ACMEDNS01Config.RecursiveNameserversOnly,
		DNS01Nameservers:             c.ACMEDNS01Config.RecursiveNameservers,
		DNS01CheckRetryPeriod:        c.ACMEDNS01Config.CheckRetryPeriod,
	}
	quantities := map[string]*resource.Quantity{
		c.ACMEHTTP01Config.SolverResourceRequestCPU:    &solver.HTTP01SolverResourceRequestCPU,
		c.ACMEHTTP01Config.SolverResourceLimitsCPU:     &solver.HTTP01SolverResourceLimitsCPU,
		c.ACMEHTTP01Config.SolverResourceRequestMemory: &solver.HTTP01SolverResourceRequestMemory,
	}
	for text, quantity := range quantities {
		parsed, err := resource.ParseQuantity(text)
		if err != nil {
			return controller.ContextOptions{}, fmt.Errorf("resources of the ACME solver: %w", err)
		}
		*quantity = parsed
	}
	solver.HTTP01SolverResourceLimitsMemory = solver.HTTP01SolverResourceRequestMemory
	return controller.ContextOptions{
		KubernetesAPIQPS:   c.KubernetesAPIQPS,
		KubernetesAPIBurst: c.KubernetesAPIBurst,
		ACMEOptions:        solver,
		IssuerOptions: controller.IssuerOptions{
			ClusterResourceNamespace:        c.ClusterResourceNamespace,
			ClusterIssuerAmbientCredentials: c.ClusterIssuerAmbientCredentials,
			IssuerAmbientCredentials:        c.IssuerAmbientCredentials,
		},
		IngressShimOptions: controller.IngressShimOptions{
			DefaultIssuerKind:                 c.IngressShimConfig.DefaultIssuerKind,
			DefaultIssuerGroup:                c.IngressShimConfig.DefaultIssuerGroup,
			DefaultAutoCertificateAnnotations: c.IngressShimConfig.DefaultAutoCertificateAnnotations,
			ExtraCertificateAnnotations:       c.IngressShimConfig.ExtraCertificateAnnotations,
		},
		CertificateOptions: controller.CertificateOptions{
			EnableOwnerRef:                           c.EnableCertificateOwnerRef,
			CopiedAnnotationPrefixes:                 c.CopiedAnnotationPrefixes,
			CertificateRequestMinimumBackoffDuration: c.CertificateRequestMinimumBackoffDuration,
		},
		SchedulerOptions: controller.SchedulerOptions{MaxConcurrentChallenges: c.MaxConcurrentChallenges},
	}, nil
}

func serveMetrics(ctx context.Context, group *errgroup.Group, base *controller.Context, address string) error {
	if address == "0" {
		return nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen for metrics: %w", err)
	}
	server := base.Metrics.NewServer(listener)
	group.Go(func() error {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		return server.Shutdown(grace)
	})
	group.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	return nil
}

// lead returns when this process is the leader.
func lead(ctx context.Context, group *errgroup.Group, factory *controller.ContextFactory, c *config.ControllerConfiguration, health *healthz.Server) error {
	settings := c.LeaderElectionConfig
	if !settings.Enabled {
		return nil
	}
	own, err := factory.Build("leader-election")
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	lock, err := resourcelock.New(resourcelock.LeasesResourceLock, settings.Namespace, "cert-manager-controller",
		own.Client.CoreV1(), own.Client.CoordinationV1(),
		resourcelock.ResourceLockConfig{Identity: host + "-external-cert-manager-controller", EventRecorder: own.Recorder})
	if err != nil {
		return err
	}
	elected := make(chan struct{})
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock:            lock,
		LeaseDuration:   settings.LeaseDuration,
		RenewDeadline:   settings.RenewDeadline,
		RetryPeriod:     settings.RetryPeriod,
		ReleaseOnCancel: true,
		WatchDog:        health.LeaderHealthzAdaptor,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { close(elected) },
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		return err
	}
	group.Go(func() error {
		elector.Run(ctx)
		if ctx.Err() == nil {
			return errors.New("leader election lost")
		}
		return nil
	})
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-elected:
		return nil
	}
}

func startControllers(ctx context.Context, group *errgroup.Group, factory *controller.ContextFactory) error {
	enabled := sets.New(defaults.DefaultEnabledControllers...)
	for name, construct := range controller.Known() {
		if !enabled.Has(name) {
			continue
		}
		built, err := construct(factory)
		if err != nil {
			return fmt.Errorf("start controller %s: %w", name, err)
		}
		group.Go(func() error {
			logf.FromContext(ctx).Info("starting controller", "controller", name)
			return built.Run(5, ctx)
		})
	}
	return nil
}
