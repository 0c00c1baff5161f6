# make -> cargo -> rustc; scripts in tests/ do what needs a shell.

PREFIX ?= /usr
DESTDIR ?=
CARGO ?= cargo
export VSS_PREFIX = $(PREFIX)

bindir = $(DESTDIR)$(PREFIX)/bin
libexecdir = $(DESTDIR)$(PREFIX)/libexec
datadir = $(DESTDIR)$(PREFIX)/share
libdir = $(DESTDIR)$(PREFIX)/lib
release = target/release
rules = $(wildcard rules.d/*.toml)

.PHONY: help setup build demo check check-fast check-lab check-long check-vm check-vm-smoke bench install uninstall \
	policy install-policy uninstall-policy clean

help:
	@echo 'make setup      install the Debian packages that the build and the tests need'
	@echo 'make build      the release binaries'
	@echo 'make demo       the main job on the packaged Apache, every command shown'
	@echo 'make check      every tier of tests, of the machine the smoke cases; make check-fast: no real libvirt'
	@echo 'make check-lab  the lab tier alone; LAB="TEST ARGS" are for cargo test'
	@echo 'make check-long a fault of every kind at every call of create and delete; 20 x 50 starts'
	@echo 'make check-vm   the cases on a real host under QEMU; VM="--on HOST CASE" are for tests/vm/run'
	@echo 'make check-vm-smoke  the few of them that make check runs'
	@echo 'make bench      a table of times and sizes beside those of systemd-nspawn; ROUNDS=7'
	@echo 'make install    DESTDIR= PREFIX=/usr; the same PREFIX as for make build'
	@echo 'make policy     the SELinux module; make install-policy loads it, uninstall-policy removes it'

setup:
	tests/setup build lab services rpm vm

build:
	@case $(PREFIX) in /usr | /usr/*) ;; \
	*) echo 'PREFIX has to be /usr or below it: containers see nothing else of the host' >&2; exit 2 ;; esac
	$(CARGO) build --locked --release --workspace $(addprefix --exclude ,vss-lab vss-bench vss-breakout)
	@echo $(PREFIX) >$(release)/prefix

demo:
	tests/setup build lab apache
	$(MAKE) build
	tests/demo

check:
	tests/setup build lab services rpm vm
	tests/check format lint licences unit lab smoke

check-fast:
	tests/check format lint licences unit

check-lab:
	tests/check lab

check-long:
	VSS_CRASH=all VSS_ROUNDS=20 LAB="--test crash --test starts" tests/check lab

check-vm:
	tests/setup build vm
	tests/check vm

check-vm-smoke:
	tests/setup build vm
	tests/check smoke

bench:
	tests/setup build lab apache bench
	$(MAKE) build
	$(CARGO) build --locked --release -p vss-bench
	tests/bench/run $(ROUNDS)

install:
	@[ "$$(cat $(release)/prefix)" = $(PREFIX) ] || \
	{ echo 'the programs are not built for this PREFIX: make build PREFIX=$(PREFIX)' >&2; exit 2; }
	install -D -m 0755 $(release)/virt-sandbox-service $(bindir)/virt-sandbox-service
	install -d -m 0755 $(libexecdir)
	install -m 0755 $(addprefix $(release)/,virt-sandbox-run virt-sandbox-wait virt-sandbox-init) $(libexecdir)
	install -D -m 0644 units/network.xml $(datadir)/virt-sandbox/network.xml
	install -D -m 0644 units/sysctl.conf $(libdir)/sysctl.d/10-virt-sandbox.conf
	install -d -m 0755 $(libdir)/virt-sandbox/rules.d $(DESTDIR)/etc/virt-sandbox/rules.d
	$(if $(rules),install -m 0644 $(rules) $(libdir)/virt-sandbox/rules.d)
	install -D -m 0644 man/virt-sandbox-service.1 $(datadir)/man/man1/virt-sandbox-service.1
	install -D -m 0644 man/virt_sandbox_selinux.8 $(datadir)/man/man8/virt_sandbox_selinux.8

# Containers that are left would have units whose programs are gone.
uninstall:
	@[ -n "$(DESTDIR)" ] || ! ls /etc/libvirt-sandbox/services/*.sandbox >/dev/null 2>&1 || \
	{ echo 'there are containers: virt-sandbox-service list -q | xargs virt-sandbox-service delete --force --yes' >&2; exit 2; }
	rm -f $(bindir)/virt-sandbox-service $(datadir)/man/man1/virt-sandbox-service.1 \
		$(datadir)/man/man8/virt_sandbox_selinux.8
	rm -f $(addprefix $(libexecdir)/,virt-sandbox-run virt-sandbox-wait virt-sandbox-init)
	rm -f $(libdir)/sysctl.d/10-virt-sandbox.conf
	rm -f $(addprefix $(libdir)/virt-sandbox/,$(rules)) $(datadir)/virt-sandbox/network.xml
	-rmdir --ignore-fail-on-non-empty $(datadir)/virt-sandbox $(libdir)/virt-sandbox/rules.d \
		$(libdir)/virt-sandbox $(DESTDIR)/etc/virt-sandbox/rules.d $(DESTDIR)/etc/virt-sandbox

policy install-policy uninstall-policy:
	@[ $(PREFIX) = /usr ] || \
	{ echo 'the module labels programs below /usr/bin and /usr/libexec: it needs PREFIX=/usr' >&2; exit 2; }
	@$(MAKE) --no-print-directory -C policy $(if $(filter policy,$@),all,$@)

clean:
	$(CARGO) clean
	$(MAKE) -C policy clean
