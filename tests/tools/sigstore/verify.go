package main

import (
	"encoding/hex"
	"fmt"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
)

// verifyBundle verifies a bundle with the library that cosign and GitHub's client use: the
// arguments are the files of the trusted root and the bundle, the SHA-256 of what is signed, who
// must have signed it and who vouches for them.
func verifyBundle(arguments []string) error {
	if len(arguments) != 5 {
		return fmt.Errorf("verify TRUSTED-ROOT BUNDLE SHA256 IDENTITY ISSUER, not %q", arguments)
	}
	trusted, err := root.NewTrustedRootFromPath(arguments[0])
	if err != nil {
		return err
	}
	signed, err := bundle.LoadJSONFromPath(arguments[1])
	if err != nil {
		return err
	}
	digest, err := hex.DecodeString(arguments[2])
	if err != nil {
		return err
	}
	signer, err := verify.NewShortCertificateIdentity(arguments[4], "", arguments[3], "")
	if err != nil {
		return err
	}
	verifier, err := verify.NewVerifier(trusted,
		verify.WithSignedCertificateTimestamps(1),
		verify.WithTransparencyLog(1),
		verify.WithObserverTimestamps(1))
	if err != nil {
		return err
	}
	policy := verify.NewPolicy(
		verify.WithArtifactDigest("sha256", digest), verify.WithCertificateIdentity(signer))
	_, err = verifier.Verify(signed, policy)
	return err
}
