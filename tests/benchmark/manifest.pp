# The same questions as the benchmark's baseline asks, as a person would ask them of `puppet apply --noop`: a resource that
# would be changed is a deviation. In noop only the conditions of an exec are run, never its command.
Exec { path => ['/usr/sbin', '/usr/bin', '/sbin', '/bin'], provider => shell, command => 'false' }

package {
  ['telnetd', 'telnetd-ssl', 'inetutils-telnetd', 'rsh-server', 'rsh-redone-server', 'inetutils-inetd', 'ftpd', 'ftpd-ssl',
    'inetutils-ftpd', 'vsftpd', 'pure-ftpd', 'tftpd', 'tftpd-hpa', 'atftpd', 'nis', 'ypserv', 'ypbind-mt']:
    ensure => absent,
}

exec { 'every package is installed whole': unless => 'test -z "$(dpkg --audit)"' }
exec { 'the operating system is supported': unless => '. /etc/os-release && [ "$ID" = debian ] && [ "$VERSION_ID" -ge 12 ]' }
exec { 'the clock is synchronised': unless => 'timedatectl show --property NTPSynchronized | grep -q yes' }
exec { 'one known daemon holds the clock': unless => '[ "$(pgrep -c "chronyd|ntpd|systemd-timesyn")" = 1 ]' }
exec { 'a time source is configured': unless => 'grep -Eq "^(server|pool|peer) " /etc/chrony/chrony.conf' }
exec { 'input is denied by default': unless => 'nft list ruleset | grep -q "hook input .*policy drop"' }
exec { 'only root has uid 0': unless => '[ "$(getent passwd | awk -F: "\$3 == 0 { print \$1 }")" = root ]' }
exec { 'nobody is in an administrators group': unless => '[ -z "$(getent group sudo | cut -d: -f4)" ]' }
exec { 'no rule without a password': onlyif => 'grep -Rqs NOPASSWD /etc/sudoers /etc/sudoers.d' }

file { ['/etc/sudoers', '/etc/sudoers.d']:
  owner => 'root', group => 'root', mode => 'go-w', recurse => true,
}
