package cluster

// What the tests of the Redis broker need from inside.

const (
	DedupeWindow = dedupeWindow
	MaxPipeline  = maxPipeline
	MaxOrigins   = maxOrigins
)

var (
	ErrEnvelopeVersion   = errEnvelopeVersion
	ErrEnvelopeMalformed = errEnvelopeMalformed
)

// Stamp is what brokers add to an envelope.
type Stamp struct {
	Node                string
	Incarnation, Number uint64
	Internal            bool
}

func AppendEnvelope(dst []byte, s Stamp, env *Envelope) []byte {
	return appendEnvelope(dst, s.inside(), env)
}

func EnvelopeSize(s Stamp, env *Envelope) int { return envelopeSize(s.inside(), env) }

func (s Stamp) inside() *stamp {
	return &stamp{node: s.Node, incarnation: s.Incarnation, number: s.Number, internal: s.Internal}
}

func DecodeEnvelope(data string, scratch []byte) (s Stamp, env Envelope, _ []byte, err error) {
	var inside stamp
	scratch, err = decodeEnvelope(data, scratch, &inside, &env)
	return Stamp{Node: inside.node, Incarnation: inside.incarnation, Number: inside.number, Internal: inside.internal},
		env, scratch, err
}

// Dedupe is the filter of repeats.
type Dedupe struct{ dedupe dedupe }

func (d *Dedupe) Accept(s Stamp) bool { return d.dedupe.accept(s.inside()) }
func (d *Dedupe) Interrupt()          { d.dedupe.interrupt() }
func (d *Dedupe) Missed() uint64      { return d.dedupe.missed }
func (d *Dedupe) Origins() int        { return len(d.dedupe.origins) }

// Rendezvous is the choice of a server by identity.
func Rendezvous(identities []string, channel string, usable func(int) bool) int {
	seeds := make([]uint64, len(identities))
	for i, identity := range identities {
		seeds[i] = hashString(identity)
	}
	return rendezvous(seeds, channel, usable)
}

// ServerFacts is what a URL says.
type ServerFacts struct {
	Identity, Master, Username, Password string
	SentinelUsername, SentinelPassword   string
	Addresses                            []string
	Database                             int
	TLS                                  bool
}

func ParseRedisURL(text string) (ServerFacts, error) {
	s, err := parseRedisURL(text)
	if err != nil {
		return ServerFacts{}, err
	}
	return ServerFacts{
		Identity: s.identity, Master: s.master, Username: s.username, Password: s.password,
		SentinelUsername: s.sentinelUsername, SentinelPassword: s.sentinelPassword,
		Addresses: s.addresses, Database: s.database, TLS: s.tls != nil,
	}, nil
}
