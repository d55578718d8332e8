package certwatch

import (
	"fmt"
	"io"
	"os"
	"syscall"
)

// maxFile bounds the size of a file in bytes. A chain of certificates has some
// kilobytes.
const maxFile = 1 << 20

// ReadRegular reads a regular file of at most 1 MiB. Opening or reading other
// files, such as a FIFO or a device, could block for good.
func ReadRegular(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	content, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(content) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return content, err
}
