package config

import (
	"net/netip"
	"time"

	"github.com/stoa-io/stoa/internal/peeraddr"
	"github.com/stoa-io/stoa/node"
)

// Config is the configuration of a stoa process. Load and Default return one.
// It is not changed afterwards, so it may be shared between goroutines.
//
// Where a key accepts "off", its value is then -1, and where it accepts "auto",
// its value is then 0, as in package node.
type Config struct {
	Listen       Listen               `key:"listen" doc:"The public port."`
	TLS          TLS                  `key:"tls" doc:"TLS of the public port. Changed files are loaded automatically."`
	Origins      []string             `key:"origins" flag:"allow-origin" example:"https://app.example.com" doc:"Origins whose pages may connect, in addition to the node's own: https://app.example.com, https://*.example.com for all subdomains, null, or *."`
	Hosts        []string             `key:"hosts" flag:"allow-host" example:"chat.example.com" doc:"Hosts that requests may be for, without ports, in addition to loopback names and addresses. * allows all. Empty allows all, except on a loopback address, where it allows loopback names only."`
	Subprotocols []string             `key:"subprotocols" flag:"subprotocol" example:"chat.v1" restart:"yes" doc:"WebSocket subprotocols that are selected if a client offers them, the preferred one first."`
	Proxies      Proxies              `key:"proxies" doc:"The proxies in front of the node, which name the addresses of their clients."`
	Cluster      Cluster              `key:"cluster" restart:"yes" doc:"The cluster and the node's part in it. Without Redis servers the node is alone."`
	Namespaces   map[string]Namespace `key:"namespaces" doc:"The namespaces by name; others do not exist. Without this key there is one, default, that relays everything. Without a configuration file, its rooms keep 300 messages for an hour and show their members, if the node has the demo page, is alone, and only this machine can reach it."`
	Auth         Auth                 `key:"auth" doc:"Authentication: tokens of users, and keys of services. Without it every client is anonymous."`
	Limits       Limits               `key:"limits" doc:"The resources that one client, or all of them, may take."`
	Timeouts     Timeouts             `key:"timeouts" restart:"yes" doc:"Timeouts of a connection. They are late by up to an eighth of the shortest, or a second."`
	Drain        Drain                `key:"drain" doc:"The shutdown after SIGINT or SIGTERM."`
	Log          Log                  `key:"log" doc:"The log on standard error."`

	origins  map[string]Origin // by path; values without an entry are defaults
	verifies bool              // after Reload: the node has had authentication at some time
}

// Listen is the section of the public port.
type Listen struct {
	Address              string `key:"address" default:"127.0.0.1:8080" flag:"listen" restart:"yes" doc:"Address of the public port, host:port. Port 0 selects a free one."`
	AllowUnauthenticated bool   `key:"allow_unauthenticated" default:"false" flag:"allow-unauthenticated" doc:"Permits an address that other machines can reach, without authentication."`
	Internal             string `key:"internal" flag:"internal-listen" example:"127.0.0.1:9090" restart:"yes" doc:"Address of the pages for operators: metrics, health and profiles, without TLS and authentication. By default they are on the public port if only this machine can reach it."`
	Control              string `key:"control" flag:"control-socket" example:"/run/stoa/control.sock" restart:"yes" doc:"Unix socket over which stoa reload reaches the node. Only the user of the node can connect to it. By default there is none."`
	Demo                 string `key:"demo" default:"auto" enum:"auto on off" flag:"demo" restart:"yes" doc:"The demo page. auto serves it unless there is an internal port."`
	Pprof                bool   `key:"pprof" default:"false" flag:"pprof" restart:"yes" doc:"Profiles of the process at /debug/pprof/, next to the metrics."`
	Endpoint             string `key:"endpoint" default:"/ws" flag:"endpoint" restart:"yes" doc:"Path of the WebSocket endpoint. * accepts an upgrade on every path."`
	Transport            string `key:"transport" default:"auto" enum:"auto epoll blocking" flag:"transport" restart:"yes" doc:"How connections are served: by event loops on epoll, or by goroutines with blocking I/O. auto is epoll where the system has it, without TLS."`
	Loops                int    `key:"loops" default:"auto" auto:"one per processor" max:"64" flag:"loops" restart:"yes" doc:"Number of event loops."`
}

// TLS is the section of the certificate.
type TLS struct {
	Cert string `key:"cert" flag:"tls-cert" example:"/etc/stoa/chain.pem" doc:"PEM file with the certificate chain. It enables TLS for the whole port."`
	Key  string `key:"key" flag:"tls-key" example:"/etc/stoa/key.pem" doc:"PEM file with the private key of the certificate."`
}

// Proxies is the section of the proxies in front of the node.
type Proxies struct {
	Trusted  []string `key:"trusted" flag:"trusted-proxy" example:"10.0.0.0/8" doc:"Networks or addresses of the proxies that are believed. By default none."`
	Header   string   `key:"header" default:"auto" enum:"auto x-forwarded-for forwarded none" flag:"proxy-header" restart:"yes" doc:"Field of requests in which they name their clients. They must append to it, or replace it, in every request. auto: x-forwarded-for, or none with protocol: a proxy that speaks that protocol passes on the fields of its clients."`
	Protocol bool     `key:"protocol" default:"false" flag:"proxy-protocol" restart:"yes" doc:"Every connection begins with a header of the PROXY protocol, version 1 or 2, and comes from a trusted proxy. Others are closed."`
}

// networks parses the trusted proxies. The error names the first that cannot be
// used.
func (p *Proxies) networks() ([]netip.Prefix, error) {
	networks := make([]netip.Prefix, 0, len(p.Trusted))
	for _, text := range p.Trusted {
		network, err := peeraddr.ParseNetwork(text)
		if err != nil {
			return nil, err
		}
		networks = append(networks, network)
	}
	_, err := peeraddr.NewNetworks(networks)
	return networks, err
}

// header is the field as package node names it.
func (p *Proxies) header() node.ProxyHeader {
	if p.Header == autoWord && p.Protocol {
		return node.ProxyHeaderNone
	}
	for _, header := range []node.ProxyHeader{node.ProxyHeaderForwarded, node.ProxyHeaderNone} {
		if header.String() == p.Header {
			return header
		}
	}
	return node.ProxyHeaderXForwardedFor
}

// Cluster is the section of the cluster.
type Cluster struct {
	Redis         []string      `key:"redis" flag:"redis" env:"STOA_REDIS" list:"urls" secret:"url" example:"redis://redis.example.com:6379" doc:"URLs of the Redis servers. Every node must name the same ones."`
	RedisCA       string        `key:"redis_ca" flag:"redis-ca" env:"STOA_REDIS_CA" example:"/etc/stoa/redis-ca.pem" doc:"PEM file with the CA certificates for rediss servers, in place of the system's."`
	RedisCert     string        `key:"redis_cert" flag:"redis-cert" env:"STOA_REDIS_CERT" example:"/etc/stoa/redis-client.pem" doc:"PEM file with the certificate chain that the node shows to rediss servers. It is read again for each connection."`
	RedisKey      string        `key:"redis_key" flag:"redis-key" env:"STOA_REDIS_KEY" example:"/etc/stoa/redis-client.key" doc:"PEM file with the private key of redis_cert."`
	Name          string        `key:"name" default:"stoa" flag:"cluster-name" doc:"Name of the cluster. Clusters with different names can share a Redis server."`
	NodeID        string        `key:"node_id" flag:"node-id" example:"node1" doc:"ID of the node, unique in its cluster: at most 64 letters, digits, _, . and -. By default it is random."`
	Advertise     string        `key:"advertise" flag:"advertise" example:"node1.example.com:8080" doc:"Address of the node in stoa nodes. By default it is the listen address."`
	Queue         int           `key:"queue" default:"64MiB" unit:"size" doc:"Messages that may wait for one Redis server. From half of it on, clients that publish are not read; beyond it messages are dropped."`
	QueueAge      time.Duration `key:"queue_age" default:"30s" doc:"How long a message may wait for its Redis server before it is dropped."`
	MaxMessage    int           `key:"max_message" default:"1MiB" unit:"size" doc:"Largest message between nodes, with about a hundred bytes that the broker adds. All nodes should have the same limit."`
	ProbeInterval time.Duration `key:"probe_interval" default:"1s" doc:"Interval between probes of each Redis server. It counts as dead if it does not answer for two."`
	Lease         time.Duration `key:"lease" default:"8s" doc:"How long a node is known after its last sign of life."`
	DialTimeout   time.Duration `key:"dial_timeout" default:"3s" doc:"Maximum time of one attempt to connect to a Redis server."`
	FlushWait     time.Duration `key:"flush_wait" default:"3s" doc:"How long queued messages wait, after an outage, for the known nodes to subscribe again."`
	RetryMax      time.Duration `key:"retry_max" default:"1s" doc:"Longest pause between two attempts to connect to a Redis server."`
}

// Namespace is the configuration of one namespace.
type Namespace struct {
	Relay []string `key:"relay" default:"rooms,namespace,asks" enum:"rooms namespace asks" doc:"Messages of clients that are passed on to other clients: emits into rooms, emits to the whole namespace, and asks to rooms."`

	SlowConsumer   string          `key:"slow_consumer" default:"close" enum:"close drop" doc:"The policy for a member that does not read fast enough: the connection is closed, or deliveries are dropped for it until it has caught up."`
	Access         NamespaceAccess `key:"access" doc:"Which clients may do what. anyone: every client; user: clients with a user; permitted: clients with a permission that allows it; none: no client. auto: permitted if there is authentication, else anyone."`
	Rooms          RoomNames       `key:"rooms" doc:"A rule for the names of rooms that clients join."`
	MaxMessage     int             `key:"max_message" default:"auto" unit:"size" auto:"limits.message" doc:"Largest emit or ask, names included. A larger one is refused, and the connection stays."`
	MembersPerRoom int             `key:"members_per_room" default:"off" off:"no limit" doc:"Members of a room on this node, those of other nodes not included."`
	Presence       string          `key:"presence" default:"off" enum:"off count roster" restart:"yes" doc:"What the members of a room learn about each other: nothing, how many they are, or who they are."`
	History        History         `key:"history" doc:"The history of each room: clients that come back receive the messages that they have missed, and members can read it. A message leaves the history when one of the limits is exceeded."`
}

// History is the configuration of the history of rooms.
type History struct {
	Messages        int           `key:"messages" default:"0" min:"0" max:"10000" restart:"yes" doc:"Messages that are kept per room. 0: no history."`
	Age             time.Duration `key:"age" default:"1h" restart:"yes" doc:"How long a message is kept, at most 30 days."`
	OnJoin          int           `key:"on_join" default:"0" min:"0" max:"10000" restart:"yes" doc:"The newest messages that every client receives when it joins, unless it comes back: with messages and on_join at 1 a room is a value that everyone knows first."`
	DuplicateWindow time.Duration `key:"duplicate_window" default:"2m" restart:"yes" doc:"For how long the ID of a confirmed emit is remembered, 1s to 24h: a copy that arrives in this time is not published again. Clients repeat an emit for up to 90s; a copy may be on its way for a while."`
	Bytes           int           `key:"bytes" default:"1MiB" unit:"size" max:"64MiB" restart:"yes" doc:"Size of the messages that are kept per room, names included. At least limits.message."`

	LatestBy   string `key:"latest_by" example:"symbol" restart:"yes" doc:"A field of the JSON body, such as symbol: a room also keeps the newest message of each value of this field, and every client that joins receives these first, unless it comes back."`
	LatestKeys int    `key:"latest_keys" default:"1000" min:"1" max:"10000" restart:"yes" doc:"Values of the field latest_by that a room keeps. The one that was not updated for longest leaves. Their messages have a limit of their own that is bytes, too."`
}

// NamespaceAccess says which clients may do what in a namespace.
type NamespaceAccess struct {
	Connect       string `key:"connect" default:"auto" enum:"auto anyone user permitted none" doc:"To connect to the namespace."`
	Join          string `key:"join" default:"auto" enum:"auto anyone user permitted none" doc:"To join a room."`
	Emit          string `key:"emit" default:"auto" enum:"auto anyone user permitted none" doc:"To emit in a room."`
	Ask           string `key:"ask" default:"auto" enum:"auto anyone user permitted none" doc:"To ask the members of a room."`
	EmitNamespace string `key:"emit_namespace" default:"auto" enum:"auto anyone user permitted none" doc:"To emit to all connections of the namespace."`
	History       string `key:"history" default:"auto" enum:"auto anyone user permitted none" doc:"To read the history of a room, and to ask for its newest messages in a join. A client that comes back receives those that it has missed in any case."`
	Presence      string `key:"presence" default:"auto" enum:"auto anyone user permitted none" doc:"To see the members of a room."`
}

// RoomNames is a rule for the names of rooms.
type RoomNames struct {
	MaxLength int    `key:"max_length" default:"auto" unit:"size" auto:"limits.names.room" doc:"Longest name."`
	Pattern   string `key:"pattern" example:"[a-z0-9-]+" doc:"Regular expression (RE2) that the whole name must match."`
}

// Limits is the section of the limits.
type Limits struct {
	Message         int `key:"message" default:"64KiB" unit:"size" off:"no limit" doc:"Largest message, all fragments together."`
	Header          int `key:"header" default:"8KiB" unit:"size" min:"1KiB" max:"1MiB" flag:"max-header" restart:"yes" doc:"Largest head of an HTTP request, cookies included. Larger ones are answered with 431."`
	Connections     int `key:"connections" default:"auto" auto:"by the limit of open files" off:"no limit" doc:"Connections that the node holds. Further ones are answered with 503."`
	Namespaces      int `key:"namespaces" default:"16" off:"no limit" doc:"Namespaces of one connection."`
	Rooms           int `key:"rooms" default:"128" off:"no limit" doc:"Rooms of one connection, in all namespaces."`
	Asks            int `key:"asks" default:"64" off:"no limit" doc:"Asks of one connection to other clients that may be in flight."`
	AsksToClient    int `key:"asks_to_client" default:"256" off:"no limit" doc:"Asks of a room's members to one of them that may wait for its answer. Beyond it an ask to the room leaves this member out."`
	InvalidPayloads int `key:"invalid_payloads" default:"100" off:"no limit" doc:"Malformed messages that a connection may send in ten seconds before it is closed."`
	Authentications int `key:"authentications" default:"10" off:"no limit" doc:"Tokens that a client may hand in per minute over its open connection. Beyond it the connection is closed."`

	PendingHandshakes int `key:"pending_handshakes" default:"auto" auto:"a quarter of the limit of open files" off:"no limit" doc:"Accepted sockets that may be without a whole request. Beyond it the socket that has been open for longest is closed."`

	ConnectionsPerUser int    `key:"connections_per_user" default:"off" off:"any number" doc:"Connections of one user in the whole cluster."`
	UserOverflow       string `key:"user_overflow" default:"close" enum:"close refuse" doc:"The outcome beyond connections_per_user: the oldest connection is closed, or the new one is refused."`

	Handshakes         node.Rate `key:"handshakes" default:"off" off:"no limit" doc:"Upgrade requests to the node, before authentication. Above the rate they are answered with 429."`
	AddressHandshakes  node.Rate `key:"address_handshakes" default:"off" off:"no limit" doc:"Upgrade requests of one client address, as handshakes."`
	AddressConnections int       `key:"address_connections" default:"off" off:"any number" doc:"Connections of one client address to this node. Further ones are answered with 429."`
	AddressPrefix      int       `key:"address_prefix" default:"64" min:"1" max:"128" doc:"The bits of an IPv6 address that are one client address in these limits."`

	Messages     node.Rate `key:"messages" default:"off" off:"no limit" doc:"Messages of one connection. Above the rate it is not read, so that TCP slows the client down; see over_rate."`
	Bytes        node.Rate `key:"bytes" default:"off" unit:"size" off:"no limit" doc:"Bytes of the messages of one connection, headers included, as messages."`
	UserMessages node.Rate `key:"user_messages" default:"off" off:"no limit" doc:"Messages of all connections of one user to this node, as messages."`
	UserBytes    node.Rate `key:"user_bytes" default:"off" unit:"size" off:"no limit" doc:"Bytes of all connections of one user to this node, as bytes."`
	Joins        node.Rate `key:"joins" default:"off" off:"no limit" doc:"Joins, leaves, connects and disconnects of one connection. Further ones wait. A client that reconnects joins all its rooms at once, which the burst should allow."`
	OverRate     string    `key:"over_rate" default:"pause" enum:"pause close" doc:"The policy for a connection that stays above its rates: it is only slowed down, or closed after timeouts.over_rate."`

	SendQueue     int   `key:"send_queue" default:"1MiB" unit:"size" off:"no limit" doc:"Frames that may be queued for one connection. Beyond it the connection is closed as a slow consumer."`
	ReceiveQueue  int   `key:"receive_queue" default:"64KiB" unit:"size" off:"no limit" doc:"Messages of one connection that may be queued behind one that is being handled. Beyond it the connection is not read."`
	LoopQueue     int   `key:"loop_queue" default:"16MiB" unit:"size" off:"no limit" doc:"Deliveries that may be queued for one event loop. Beyond it publishing connections are not read."`
	QueueMemory   int   `key:"queue_memory" default:"auto" unit:"size" auto:"a quarter of the memory that the process may use" off:"no limit" restart:"yes" doc:"All queues of the node together. Beyond it the connection with the largest send queue is closed as a slow consumer."`
	HistoryMemory int   `key:"history_memory" default:"64MiB" unit:"size" restart:"yes" doc:"Recent messages of all rooms with history that the node holds. Beyond it clients that come back cost more reads of the broker. Without Redis it is also the limit of all histories: beyond it, the rooms in which nothing was said for longest lose messages."`
	Names         Names `key:"names" doc:"Lengths of names in messages."`
}

// Names is the section of the lengths of names.
type Names struct {
	Token     int `key:"token" default:"320B" unit:"size" off:"no limit" doc:"Longest token of an ask."`
	Namespace int `key:"namespace" default:"128B" unit:"size" off:"no limit" doc:"Longest name of a namespace."`
	Room      int `key:"room" default:"256B" unit:"size" off:"no limit" doc:"Longest name of a room."`
	Event     int `key:"event" default:"128B" unit:"size" off:"no limit" doc:"Longest name of an event."`
}

// Timeouts is the section of the timeouts.
type Timeouts struct {
	Handshake time.Duration `key:"handshake" default:"10s" off:"no timeout" doc:"From accepting a connection to the first message of its client."`
	Ping      time.Duration `key:"ping" default:"25s" off:"no pings" doc:"Time without traffic from a client after which it gets a ping."`
	Pong      time.Duration `key:"pong" default:"20s" off:"no timeout" doc:"How long a client may send nothing at all after a ping."`
	Write     time.Duration `key:"write" default:"10s" off:"no timeout" doc:"How long the socket of a client may take nothing while frames are queued."`
	Close     time.Duration `key:"close" default:"3s" off:"the answer is not awaited" doc:"How long a client may take to answer a close frame."`
	Message   time.Duration `key:"message" default:"30s" off:"no timeout" doc:"How long a message may take from its first byte to its last."`
	Join      time.Duration `key:"join" default:"5s" doc:"How long a join or connect may wait for the broker."`
	Ask       time.Duration `key:"ask" default:"30s" doc:"How long an ask that is relayed between clients waits for an answer."`

	ExpiryNotice     time.Duration `key:"expiry_notice" default:"30s" off:"no notice" doc:"How long before the end of its identity a client is asked for a new token, but at most half of the identity's life."`
	PresenceInterval time.Duration `key:"presence_interval" default:"1s" off:"none" doc:"Shortest time between two changes of the members of a room that a client is shown."`
	PresenceGrace    time.Duration `key:"presence_grace" default:"2s" off:"none" doc:"Time after which clients are shown that a member has left a room. One that is back by then has not left."`
	OverRate         time.Duration `key:"over_rate" default:"10s" doc:"How long a connection may exceed its rates before it is closed, with limits.over_rate: close."`
}

// Drain is the section of the shutdown.
type Drain struct {
	Delay   time.Duration `key:"delay" default:"0s" min:"0s" flag:"drain-delay" restart:"yes" doc:"Time in which /readyz fails already and connections are still accepted and served."`
	Timeout time.Duration `key:"timeout" default:"30s" min:"0s" flag:"drain-timeout" doc:"Maximum time for closing connections after the delay. 0s cuts them at once."`
	Rate    int           `key:"rate" default:"1000/s" unit:"rate" off:"all at once" doc:"How many connections are closed per second."`
}

// Log is the section of the log.
type Log struct {
	Level  string `key:"level" default:"info" enum:"debug info warn error" flag:"log-level" doc:"Minimum level of a record."`
	Format string `key:"format" default:"text" enum:"text json" flag:"log-format" restart:"yes" doc:"Format of the records."`
}
