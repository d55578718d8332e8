package serve

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/node"
)

const (
	tlsCertVariable = "STOA_TLS_CERT"
	tlsKeyVariable  = "STOA_TLS_KEY"
	tlsCertFlag     = "tls-cert"
	tlsKeyFlag      = "tls-key"
)

// tlsFlags select the certificate of the port.
type tlsFlags struct {
	set  *pflag.FlagSet
	cert string
	key  string
}

func (f *tlsFlags) register(set *pflag.FlagSet) {
	f.set = set
	set.StringVar(&f.cert, tlsCertFlag, "",
		"PEM `file` with the certificate chain; enables TLS for the whole port; default: "+tlsCertVariable)
	set.StringVar(&f.key, tlsKeyFlag, "",
		"PEM `file` with the private key of the certificate; default: "+tlsKeyVariable)
}

// tlsPair is the files of a certificate and its key. Both are empty without
// TLS.
type tlsPair struct{ cert, key string }

func (p tlsPair) given() bool { return p.cert != "" }

// resolve combines flags and environment.
func (f *tlsFlags) resolve() (tlsPair, error) {
	pair := tlsPair{f.cert, f.key}
	if !f.set.Changed(tlsCertFlag) {
		pair.cert = os.Getenv(tlsCertVariable)
	}
	if !f.set.Changed(tlsKeyFlag) {
		pair.key = os.Getenv(tlsKeyVariable)
	}
	switch {
	case pair.cert == "" && pair.key != "":
		return pair, fmt.Errorf("--%s or %s: missing the certificate for the key %q", tlsCertFlag, tlsCertVariable, pair.key)
	case pair.key == "" && pair.cert != "":
		return pair, fmt.Errorf("--%s or %s: missing the key for the certificate %q", tlsKeyFlag, tlsKeyVariable, pair.cert)
	}
	return pair, nil
}

// listen binds the address, with TLS if there is a certificate.
func listen(server *node.Node, address string, pair tlsPair) error {
	if !pair.given() {
		if err := server.Listen("tcp", address); err != nil {
			return cli.Failure(explainListen(err, listenFlag))
		}
		return nil
	}
	err := server.ListenTLS("tcp", address, pair.cert, pair.key)
	switch {
	case errors.Is(err, node.ErrCertificate):
		return fmt.Errorf("--%s, --%s: %w", tlsCertFlag, tlsKeyFlag, err)
	case err != nil:
		return cli.Failure(explainListen(err, listenFlag))
	}
	return nil
}
