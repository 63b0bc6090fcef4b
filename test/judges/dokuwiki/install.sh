#!/usr/bin/env bash
# install.sh FOLDER: DokuWiki and PHP as Debian 12 packages them, unpacked into FOLDER and installed nowhere. ACCOUNT_PASSWORD is the
# password of its one account. Prints the command that serves it, without the address.
set -euo pipefail
folder=$(realpath "$1")
debs=$folder/debs root=$folder/root www=$folder/www conf=$folder/conf
mkdir -p "$debs" "$root" "$folder/sessions"
(cd "$debs" && apt-get download -qq dokuwiki php8.2-cli php8.2-common php8.2-xml php-geshi libphp-simplepie php-phpseclib php-random-compat 2>/dev/null)
for deb in "$debs"/*.deb; do dpkg -x "$deb" "$root"; done

cp -r "$root/usr/share/dokuwiki" "$www"
rm -f "$www/lib/plugins" "$www/lib/tpl"
cp -r "$root/var/lib/dokuwiki/lib/plugins" "$root/var/lib/dokuwiki/lib/tpl" "$www/lib/"
cp -r "$root/etc/dokuwiki" "$conf"
cp -r "$root/var/lib/dokuwiki/data" "$folder/data"
sed -i "s#/etc/dokuwiki#$conf#g" "$www/inc/preload.php"
sed -i "s#\(\$vendorDir . \)\?'/usr/share/php#'$root/usr/share/php#g" "$www"/vendor/composer/autoload_*.php
sed -i "s#/var/lib/dokuwiki/data#$folder/data#" "$conf/dokuwiki.php"

modules=$(echo "$root"/usr/lib/php/20*/)
php=("$root/usr/bin/php8.2" -n -d display_errors=0 -d "session.save_path=$folder/sessions")
for each in ctype dom tokenizer simplexml xml xmlreader iconv fileinfo; do php+=(-d "extension=$modules$each.so"); done
# shellcheck disable=SC2016
hash=$("${php[@]}" -r 'echo password_hash(getenv("ACCOUNT_PASSWORD"), PASSWORD_BCRYPT);')
rm -f "$conf/users.auth.php" "$conf/acl.auth.php"
echo "svc-bailiwick:$hash:Service:svc@example.test:user" >"$conf/users.auth.php"
printf '* @ALL 0\n* @user 2\n' >"$conf/acl.auth.php"
# shellcheck disable=SC2016
printf '<?php\n$conf["useacl"] = 1; $conf["superuser"] = "@admin"; $conf["rememberme"] = 0; $conf["disableactions"] = "register";\n' >"$conf/local.php"
printf '====== Rota ======\nthe-red-team\n' >"$folder/data/pages/rota.txt"
printf '====== Other ======\nthe-blue-team\n' >"$folder/data/pages/other.txt"
printf '%s\n' "${php[@]}" -t "$www" -S
