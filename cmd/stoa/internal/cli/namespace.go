package cli

// DefaultNamespace is the namespace that "stoa serve" opens and that clients
// connect to unless told otherwise.
const DefaultNamespace = "default"
