/** The `source` of the events and problems that this tier makes. */
export const PUBLIC_WEB_SOURCE = '/waybill/public-web';
