module buildahbuild
go 1.26
require github.com/containers/buildah v1.43.1
