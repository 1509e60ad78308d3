package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sigstore/rekor-tiles/v2/pkg/note"
)

// patience is how long the log may take to start.
const patience = 30 * time.Second

// origin is what the log calls itself. Who verifies expects its host's name, without a port.
const origin = "127.0.0.1"

// signatureLog is Rekor, a process of its own.
type signatureLog struct {
	address string
	// public is the public key as DER.
	public  []byte
	id      []byte
	process *exec.Cmd
}

func startLog(folder string) (*signatureLog, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	key := filepath.Join(folder, "log.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	if err := os.WriteFile(key, block, 0o600); err != nil {
		return nil, err
	}
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	_, id, err := note.KeyHash(origin, public)
	if err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	process := exec.Command(program, "serve",
		"--hostname", origin,
		"--http-port", fmt.Sprint(ports[0]),
		"--grpc-port", fmt.Sprint(ports[1]),
		"--http-metrics-port", fmt.Sprint(ports[2]),
		"--storage-dir", filepath.Join(folder, "log"),
		"--signer-filepath", key,
		"--batch-max-age", "50ms",
		"--checkpoint-interval", "100ms",
		"--log-level", "warn",
	)
	process.Stderr = os.Stderr
	// It ends with this program, however that ends.
	process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := process.Start(); err != nil {
		return nil, err
	}
	log := &signatureLog{address: fmt.Sprintf("http://%s:%d", origin, ports[0]), public: der, id: id, process: process}
	for since := time.Now(); time.Since(since) < patience; time.Sleep(20 * time.Millisecond) {
		response, err := http.Get(log.address + "/healthz")
		if err != nil {
			continue
		}
		_ = response.Body.Close()
		if response.StatusCode == http.StatusOK {
			return log, nil
		}
	}
	log.stop()
	return nil, fmt.Errorf("the log of signatures does not answer at %s", log.address)
}

func (l *signatureLog) stop() {
	_ = l.process.Process.Kill()
	_ = l.process.Wait()
}

// freePorts finds ports that nobody uses, all at once so that they differ.
func freePorts(count int) ([]int, error) {
	var ports []int
	for range count {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
