package resp

import "strconv"

// AppendCommand appends a command about channels, whose names get the prefix,
// and returns the extended slice.
func AppendCommand(dst []byte, name, prefix string, channels []string) []byte {
	dst = append(strconv.AppendInt(append(dst, '*'), int64(len(channels)+1), 10), "\r\n"...)
	dst = appendBulk(dst, "", name)
	for _, channel := range channels {
		dst = appendBulk(dst, prefix, channel)
	}
	return dst
}

func appendBulk(dst []byte, prefix, text string) []byte {
	dst = append(strconv.AppendInt(append(dst, '$'), int64(len(prefix)+len(text)), 10), "\r\n"...)
	return append(append(append(dst, prefix...), text...), "\r\n"...)
}
