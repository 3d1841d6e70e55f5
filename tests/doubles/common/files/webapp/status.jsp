<%@ page contentType="application/json;charset=UTF-8" session="false" trimDirectiveWhitespaces="true" %>
<%@ page import="dc.testing.@PRODUCT@.Dashboard, dc.testing.@PRODUCT@.Instance" %>
<%
    Instance instance = Dashboard.instance(application);
    if (instance.state().equals("ERROR")) {
        response.setStatus(500);
    }
    out.print(instance.statusAsJson());
%>
