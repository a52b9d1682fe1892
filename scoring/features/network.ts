/** Bits of an address that name its network: what one household or one rented server has (IPv4 /24, IPv6 /48). */
const IPV4_PARTS = 3;
const IPV6_GROUPS = 3;
const IPV6_GROUPS_ALL = 8;

/**
 * The network that an address is in, in one form however the address is written: `198.51.100.0/24`, `2001:db8:1::/48`. An IPv4 address inside an
 * IPv6 one (`::ffff:198.51.100.7`) is the IPv4 one. What is no address at all is its own network: an id is never lost.
 */
export function networkOf(ip: string): string {
  const last = ip.slice(ip.lastIndexOf(':') + 1);
  if (last.includes('.')) {
    const parts = last.split('.');
    return parts.length === IPV4_PARTS + 1 ? `${parts.slice(0, IPV4_PARTS).join('.')}.0/24` : ip;
  }
  const [head = '', tail] = ip.toLowerCase().split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  if (front.length + back.length > IPV6_GROUPS_ALL || (tail === undefined && front.length !== IPV6_GROUPS_ALL)) return ip;
  const zeros = new Array<string>(IPV6_GROUPS_ALL - front.length - back.length).fill('0');
  const groups = [...front, ...zeros, ...back].slice(0, IPV6_GROUPS).map((group) => group.replace(/^0+(?=.)/, ''));
  return `${groups.join(':')}::/48`;
}
