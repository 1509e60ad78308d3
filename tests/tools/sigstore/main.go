// A Sigstore for tests: an issuer of tokens as GitHub Actions has one, the certificate authority
// (Fulcio) with a log of certificates, the log of signatures (Rekor), a timestamp authority, and a
// repository of trust (TUF). Sigstore's own modules answer for all but the issuer and the log of
// certificates. Every key is made at the start and gone at the end.
//
// It is given a folder, prints where everything is as one line of JSON, and ends when its standard
// input does. Called as `verify` it verifies a bundle.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	rekor "github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix/app"
)

// told is what a test needs to know.
type told struct {
	Issuer    string `json:"issuer"`
	TokenURL  string `json:"token-url"`
	Token     string `json:"token"`
	TUFMirror string `json:"tuf-mirror"`
	TUFRoot   string `json:"tuf-root"`
	// TrustedRoot is the file of which the repository of trust has a copy.
	TrustedRoot string `json:"trusted-root"`
}

func main() {
	// The log is a process of its own: its program reads its flags from the arguments.
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		rekor.Execute()
		return
	}
	if err := command(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func command(arguments []string) error {
	if len(arguments) > 0 && arguments[0] == "verify" {
		return verifyBundle(arguments[1:])
	}
	if len(arguments) != 1 {
		return fmt.Errorf("one argument is wanted, a folder, not %q", arguments)
	}
	return run(arguments[0])
}

func run(folder string) error {
	issuer, err := newIssuer()
	if err != nil {
		return err
	}
	issuer.address, err = serve(issuer.handler())
	if err != nil {
		return err
	}
	certificates, err := newCTLog()
	if err != nil {
		return err
	}
	certificates.address, err = serve(certificates.handler())
	if err != nil {
		return err
	}
	authority, err := newAuthority(issuer.address, certificates)
	if err != nil {
		return err
	}
	authority.address, err = serve(authority.handler)
	if err != nil {
		return err
	}
	clock, err := newClock()
	if err != nil {
		return err
	}
	clock.address, err = serve(clock.handler)
	if err != nil {
		return err
	}
	log, err := startLog(folder)
	if err != nil {
		return err
	}
	defer log.stop()

	parts := parts{authority, certificates, clock, log}
	root, err := parts.trustedRoot()
	if err != nil {
		return err
	}
	config, err := parts.signingConfig()
	if err != nil {
		return err
	}
	trusted := filepath.Join(folder, "trusted_root.json")
	if err := os.WriteFile(trusted, root, 0o644); err != nil {
		return err
	}
	trust := filepath.Join(folder, "tuf")
	files := map[string][]byte{"trusted_root.json": root, "signing_config.v0.2.json": config}
	if err := writeTUF(trust, files); err != nil {
		return err
	}
	mirror, err := serve(http.FileServer(http.Dir(trust)))
	if err != nil {
		return err
	}
	line := told{
		Issuer:      issuer.address,
		TokenURL:    issuer.address + "/token",
		Token:       issuer.bearer,
		TUFMirror:   mirror,
		TUFRoot:     filepath.Join(trust, "root.json"),
		TrustedRoot: trusted,
	}
	if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// serve answers on a free port of the loopback interface until the process ends; it gives the
// address.
func serve(handler http.Handler) (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	return "http://" + listener.Addr().String(), nil
}
