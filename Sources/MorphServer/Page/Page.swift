#if Server
internal import HTTPTypes
internal import Hummingbird

/// The chat page: four files that need nothing from elsewhere.
enum Page {
    struct File: Sendable {
        let type: String
        let bytes: [UInt8]

        var response: Response {
            Response(
                status: .ok,
                headers: [
                    .contentType: type, .contentSecurityPolicy: Page.policy, .cacheControl: "no-cache",
                    .init("Referrer-Policy")!: "no-referrer",
                ],
                body: .init(byteBuffer: .init(bytes: bytes)))
        }
    }

    static let files: [String: File] = [
        "/": File(type: "text/html; charset=utf-8", bytes: PackageResources.page_html),
        "/page.css": File(type: "text/css; charset=utf-8", bytes: PackageResources.page_css),
        "/contexts.js": File(type: "text/javascript; charset=utf-8", bytes: PackageResources.contexts_js),
        "/page.js": File(type: "text/javascript; charset=utf-8", bytes: PackageResources.page_js),
    ]

    /// Nothing but what this server sends, and in nobody's frame.
    static let policy =
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}
#endif
