package once

import "strings"

// Script stores and publishes a message, unless its ID is known, and returns
// the value of the ID: ARGV[1], or that of the message that has the ID. It does
// all of that or nothing, also if the server refuses one of the commands, whose
// error it returns.
//
// If the ID is that of this message, the publisher sends it again: it is not
// stored again, but published, as every message that is sent again. Nodes that
// have received it drop it.
//
// The script is sent as a whole with each message. So a server that has
// forgotten it, or a new master, needs no special treatment.
//
//	KEYS  the key of the ID, the stream
//	ARGV  value, PX of the ID, MAXLEN, field, envelope, PEXPIRE of the stream or nothing, channel
const Script = `local call,id,stream,v=redis.pcall,KEYS[1],KEYS[2],ARGV[1]
local r=call('SET',id,v,'NX','PX',ARGV[2])
if not r or r.err then
local known=call('GET',id)
if known~=v then return known or r end
r=call('PUBLISH',ARGV[7],ARGV[5])
return type(r)=='table' and r or v
end
local entry=call('XADD',stream,'MAXLEN','~',ARGV[3],'*',ARGV[4],ARGV[5])
r=entry
if type(r)~='table' and ARGV[6]~='' then r=call('PEXPIRE',stream,ARGV[6]) end
if type(r)~='table' then r=call('PUBLISH',ARGV[7],ARGV[5]) end
if type(r)~='table' then return v end
call('DEL',id)
if type(entry)~='table' then call('XDEL',stream,entry) end
return r`

// Cause returns the reply of the command that has failed in a script. Redis 7
// returns it as it is, Redis 6 after the place in the script:
//
//	ERR Error running script (call to f_...): @user_script:1: @user_script: 1: -READONLY You can't ...
func Cause(reply string) string {
	text := strings.TrimPrefix(reply, "ERR ")
	if strings.HasPrefix(text, "Error running script") || strings.HasPrefix(text, "@user_script") {
		if _, cause, found := strings.Cut(text, ": -"); found {
			return strings.TrimSpace(cause)
		}
	}
	return reply
}
