package main

import (
	"crypto"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// tufLifetime is how long the repository of trust may be believed: longer than any run.
const tufLifetime = 24 * time.Hour

// writeTUF writes a repository of trust (TUF, version 1 of everything, one key for all roles) that
// holds files by name. Its first root is root.json.
func writeTUF(folder string, files map[string][]byte) error {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	signer, err := signature.LoadSigner(private, crypto.Hash(0))
	if err != nil {
		return err
	}
	key, err := metadata.KeyFromPublicKey(private.Public())
	if err != nil {
		return err
	}
	expires := time.Now().Add(tufLifetime).UTC().Truncate(time.Second)

	targets := metadata.Targets(expires)
	if err := os.MkdirAll(filepath.Join(folder, "targets"), 0o755); err != nil {
		return err
	}
	for name, content := range files {
		file, err := metadata.TargetFile().FromBytes(name, content, "sha256")
		if err != nil {
			return err
		}
		targets.Signed.Targets[name] = file
		prefixed := hex.EncodeToString(file.Hashes["sha256"]) + "." + name
		if err := os.WriteFile(filepath.Join(folder, "targets", prefixed), content, 0o644); err != nil {
			return err
		}
	}
	snapshot := metadata.Snapshot(expires)
	timestamp := metadata.Timestamp(expires)
	root := metadata.Root(expires)
	root.Signed.ConsistentSnapshot = true
	for _, role := range []string{"targets", "snapshot", "timestamp", "root"} {
		if err := root.Signed.AddKey(key, role); err != nil {
			return err
		}
	}

	const first = "1"
	return errors.Join(
		signed(targets, signer, folder, first+".targets.json"),
		signed(snapshot, signer, folder, first+".snapshot.json"),
		signed(timestamp, signer, folder, "timestamp.json"),
		signed(root, signer, folder, first+".root.json", "root.json"),
	)
}

// signed signs one document of the repository and writes it under its names.
func signed[T metadata.Roles](
	document *metadata.Metadata[T], signer signature.Signer, folder string, names ...string,
) error {
	if _, err := document.Sign(signer); err != nil {
		return err
	}
	for _, name := range names {
		if err := document.ToFile(filepath.Join(folder, name), true); err != nil {
			return err
		}
	}
	return nil
}
