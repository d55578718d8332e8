package closecode

// The codes of RFC 6455 section 7.4.1 of closes that a server starts.
const (
	GoingAway     uint16 = 1001
	ProtocolError uint16 = 1002
	NoStatus      uint16 = 1005 // never sent: the close frame had no code
	Abnormal      uint16 = 1006 // never sent: there was no close frame
	InvalidData   uint16 = 1007
	Policy        uint16 = 1008
	TooBig        uint16 = 1009
)

// Sendable reports whether a close frame may carry the code, by RFC 6455
// section 7.4 and the registry that it opened, which holds 1012 to 1014 today.
func Sendable(code uint16) bool {
	switch {
	case code < 1000 || code > 4999:
		return false
	case code < 3000:
		return code <= 1003 || code >= 1007 && code <= 1014
	}
	return true
}
